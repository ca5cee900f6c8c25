"""The closing line of `make test`."""


def pytest_unconfigure(config) -> None:
    """Print how many checks passed, failed and were skipped, after everything pytest says itself."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter and not hasattr(config, "workerinput"):
        count = {kind: len(reporter.stats.get(kind, ())) for kind in ("passed", "failed", "error", "skipped")}
        failed = count["failed"] + count["error"]
        print(f"{count['passed']} passed, {failed} failed, {count['skipped']} skipped")

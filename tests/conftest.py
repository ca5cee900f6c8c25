"""How `make test` divides its work between two processes, and its closing line."""

from xdist.scheduler import LoadScopeScheduling


class Together(LoadScopeScheduling):
    """Keep the checks of the site in one process, which builds it; spread everything else."""

    def _split_scope(self, nodeid: str) -> str:
        return "site" if "test_site" in nodeid else nodeid


def pytest_xdist_make_scheduler(config, log):
    return Together(config, log)


def pytest_unconfigure(config) -> None:
    """Print how many checks passed, failed and were skipped, after everything pytest says itself."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter and not hasattr(config, "workerinput"):
        count = {kind: len(reporter.stats.get(kind, ())) for kind in ("passed", "failed", "error", "skipped")}
        failed = count["failed"] + count["error"]
        print(f"{count['passed']} passed, {failed} failed, {count['skipped']} skipped")

"""Packaging for nbdev 2.4: every value comes from settings.ini, so it is written down once."""

from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

config = ConfigParser(delimiters=["="])
config.read("settings.ini", encoding="utf-8")
cfg = config["DEFAULT"]


def shipped_data():
    """Files of `data/`, which a wheel carries inside the package as `dearli/_data`."""
    return sorted(str(p.relative_to("data")) for p in Path("data").rglob("*") if p.is_file())


setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=Path("README.md").read_text(encoding="utf-8") if Path("README.md").exists() else "",
    long_description_content_type="text/markdown",
    author=cfg["author"],
    author_email=cfg["author_email"],
    license="MIT",
    keywords=cfg["keywords"].split(),
    python_requires=f">={cfg['min_python']}",
    packages=find_packages(include=["dearli", "dearli.*"]) + ["dearli._data"],
    package_dir={"dearli._data": "data"},
    package_data={"dearli": ["py.typed"], "dearli._data": shipped_data()},
    install_requires=cfg["requirements"].split(),
    extras_require={"dev": cfg["dev_requirements"].split(), "sam": cfg["sam_requirements"].split()},
    entry_points={
        "console_scripts": ["dearli = dearli.cli:main"],
        "nbdev": ["dearli = dearli._modidx:d"],  # where links to symbols lead, also for other nbdev projects
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "License :: OSI Approved :: MIT License",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
    zip_safe=False,
)

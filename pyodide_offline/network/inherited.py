"""The proxies that the user named to us, as programs that we start are told of them. Pure.

npm, uv, pip and Node read the variables, and know nothing of ``--proxy``. Of several proxies
they get the first: none of them knows a second one. A PAC file cannot be passed on so.
"""

from collections.abc import Mapping, Sequence

from pyodide_offline.network.proxies import OPTION, parse

# Both cases: which one counts differs from program to program.
VARIABLES = tuple(
    name for stem in ("https_proxy", "http_proxy", "all_proxy") for name in (stem, stem.upper())
)


def environment(environ: Mapping[str, str], named: Sequence[str]) -> dict[str, str]:
    """Return the environment with what ``--proxy`` says in place of its own variables.

    ``--proxy ""`` takes them out. Raises SettingsError for a proxy that cannot be used.
    """
    if not named:
        return dict(environ)
    kept = {key: value for key, value in environ.items() if key not in VARIABLES}
    # npm's own variables would come before these.
    kept = {key: value for key, value in kept.items() if key.lower() not in _NPM}
    urls = [one.strip() for one in named if one.strip()]
    for url in urls:
        parse(url, OPTION)
    if not urls:
        return kept
    first = urls[0] if "://" in urls[0] else f"http://{urls[0]}"
    return {**kept, **dict.fromkeys(VARIABLES, first)}


_NPM = {"npm_config_proxy", "npm_config_https_proxy", "npm_config_http_proxy"}

import pytest

from pyodide_offline.errors import SettingsError
from pyodide_offline.network import proxies
from pyodide_offline.network.inherited import VARIABLES, environment

OWN = {"HTTPS_PROXY": "http://old:1", "npm_config_https-proxy": "x", "NO_PROXY": "corp", "A": "b"}


def test_without_an_option_all_stays_as_the_user_had_it() -> None:
    assert environment(OWN, ()) == OWN


def test_programs_are_told_the_first_one_in_every_way_and_no_proxy_stays() -> None:
    found = environment(OWN, ("http://me:s3cret@new:3128", "http://other:1"))
    assert {found[name] for name in VARIABLES} == {"http://me:s3cret@new:3128"}
    assert (found["NO_PROXY"], found["A"]) == ("corp", "b")


@pytest.mark.parametrize("name", ["npm_config_https_proxy", "NPM_CONFIG_PROXY"])
def test_npms_own_variables_do_not_come_before_it(name: str) -> None:
    assert name not in environment({name: "http://old:1"}, ("new:3128",))


def test_a_scheme_that_is_left_out_is_written_out() -> None:
    assert environment({}, ("new:3128",))["HTTPS_PROXY"] == "http://new:3128"


def test_an_empty_one_means_direct() -> None:
    found = environment(OWN, ("",))
    assert not set(VARIABLES) & set(found)
    assert proxies.for_target(found, "https", "example.com", 443) == []


def test_one_that_cannot_be_used_is_said_without_its_password() -> None:
    with pytest.raises(SettingsError, match="--proxy") as caught:
        environment({}, ("gopher://me:s3cret@proxy",))
    assert "s3cret" not in str(caught.value)

"""What may be shown of an address, and where a redirect may lead: no credentials, no private places."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urljoin, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from semilla.escape import redact_credentials

_MAX_SHOWN_CHARACTERS = 200
_LOCAL_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


class RefusedRedirectError(Exception):
    """A redirect leads where we do not follow; the message says why."""


def escape_unprintable(text: str) -> str:
    """Make a server's words safe to show: control and other invisible characters become escapes."""
    shown = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text[:_MAX_SHOWN_CHARACTERS])
    return redact_credentials(shown)


def find_host(url: str) -> str:
    """Return the host of a URL, in lower case and without port; empty when there is none."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def is_public_address(address: str) -> bool:
    """Tell whether a numeric address belongs to the public internet."""
    number = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(number, ipaddress.IPv6Address) and number.ipv4_mapped:
        number = number.ipv4_mapped
    return number.is_global


def is_local_host(host: str) -> bool:
    """Tell whether a host's name alone says that it is this machine or this network."""
    if not host or host == "localhost" or host.endswith(_LOCAL_NAMES):
        return True
    try:
        return not is_public_address(host)
    except ValueError:
        # A number such as 2130706433 is an address in disguise: 127.0.0.1.
        return (
            re.fullmatch(r"[\dxa-f.]+", host) is not None
            and host.rpartition(".")[2].isalnum()
            and host[0].isdigit()
        )


def resolve_redirect(url: str, location: str) -> str:
    """Return where a redirect leads; raises RefusedRedirectError for anything but plain http(s)."""
    if not location.isprintable() or " " in location or "\\" in location:
        raise RefusedRedirectError("its target is malformed")
    if location.startswith("//"):
        raise RefusedRedirectError("its target names no scheme")
    try:
        target, parts = urlsplit(location), urlsplit(urljoin(url, location))
        has_host = bool(parts.hostname) and parts.port != 0 and not (target.scheme and not target.netloc)
    except ValueError as error:
        raise RefusedRedirectError("its target is malformed") from error
    if parts.scheme not in {"http", "https"}:
        raise RefusedRedirectError(f"its target is a {parts.scheme} address")
    if "@" in parts.netloc:
        raise RefusedRedirectError("its target carries credentials")
    if not has_host:
        raise RefusedRedirectError("its target names no host")
    return urlunsplit(parts._replace(fragment=""))


def find_proxy(url: str) -> str | None:
    """Find the proxy that the environment prescribes for a URL, as other programs read it."""
    proxies = getproxies()
    if proxy_bypass(urlsplit(url).netloc.rpartition("@")[2]):
        return None
    proxy = proxies.get(urlsplit(url).scheme) or proxies.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"

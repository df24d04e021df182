"""Hosts, redirect targets and proxies: which addresses a download may reach, and what may be shown of them."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urljoin, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from semilla.escape import redact_credentials

_MAX_SHOWN_CHARACTERS = 200
_LOCAL_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


def escape_unprintable(text: str) -> str:
    """Make text from a server safe to print: escape control characters and other invisible ones."""
    shown = "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text[:_MAX_SHOWN_CHARACTERS])
    return redact_credentials(shown)


def find_host(url: str) -> str:
    """Return the host of a URL in lower case and without its port, or an empty string."""
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def strip_credentials(url: str) -> str:
    """Remove the user name and password from a URL."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def is_public_address(address: str) -> bool:
    """Return whether a numeric address belongs to the public internet."""
    number = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(number, ipaddress.IPv6Address) and number.ipv4_mapped:
        number = number.ipv4_mapped
    return number.is_global


def is_local_host(host: str) -> bool:
    """Return whether the name alone shows that a host is this machine or on this network."""
    if not host or host == "localhost" or host.endswith(_LOCAL_NAMES):
        return True
    try:
        return not is_public_address(host)
    except ValueError:
        return _is_disguised_address(host)


def _is_disguised_address(host: str) -> bool:
    """Return whether a host is a rarely used spelling of an IPv4 address: 2130706433 and 0x7f.1 are 127.0.0.1."""
    try:
        socket.inet_aton(host)
    except (OSError, ValueError):
        return False
    return True


def resolve_redirect(url: str, location: str) -> str:
    """Return the address that a redirect leads to.

    Raises ValueError for anything but plain HTTP or HTTPS, and for a way from HTTPS to HTTP.
    """
    if not location.isprintable() or " " in location or "\\" in location:
        raise ValueError("its target is malformed")
    if location.startswith("//"):
        raise ValueError("its target names no scheme")
    try:
        target, parts = urlsplit(location), urlsplit(urljoin(url, location))
        has_host = bool(parts.hostname) and parts.port != 0 and not (target.scheme and not target.netloc)
    except ValueError as error:
        raise ValueError("its target is malformed") from error
    if parts.scheme not in {"http", "https"}:
        raise ValueError(f"its target is a {parts.scheme} address")
    if parts.scheme == "http" and urlsplit(url).scheme == "https":
        raise ValueError("it leads from https to http, where anyone could change the text")
    if "@" in parts.netloc:
        raise ValueError("its target contains credentials")
    if not has_host:
        raise ValueError("its target names no host")
    return urlunsplit(parts._replace(fragment=""))


def find_proxy(url: str) -> str | None:
    """Return the proxy that the environment variables name for a URL."""
    proxies = getproxies()
    if proxy_bypass(urlsplit(url).netloc.rpartition("@")[2]):
        return None
    proxy = proxies.get(urlsplit(url).scheme) or proxies.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"

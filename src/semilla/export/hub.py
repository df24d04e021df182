"""Pushes an export to the Hugging Face Hub: one repository, one commit with every file of the folder.

The token comes from the environment and is passed to ``huggingface_hub`` alone. No message, log or file contains it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import disable_progress_bars, validate_repo_id  # type: ignore[attr-defined]

from semilla.errors import InvalidConfigError, NetworkError, SemillaError

TOKEN = "HF_TOKEN"  # noqa: S105 - the name of the variable
ENDPOINT = "HF_ENDPOINT"
REFUSED = {401, 403}


def check_repository(name: str) -> None:
    """Raise InvalidConfigError unless ``name`` is OWNER/NAME in the Hub's spelling."""
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise InvalidConfigError(f"--repo {name}: {error}") from error
    if "/" not in name:
        raise InvalidConfigError(f"--repo {name}: write OWNER/NAME, such as my-name/{name}")


def read_token() -> str:
    """The token of the environment; InvalidConfigError when there is none."""
    token = os.environ.get(TOKEN, "").strip()
    if not token:
        raise InvalidConfigError(
            f"{TOKEN} is not set; create a token with write access at https://huggingface.co/settings/tokens "
            "and put it into the environment",
            next_command=f"read -rs {TOKEN} && export {TOKEN}",
        )
    return token


def push(folder: Path, *, repository: str, is_private: bool, token: str, message: str) -> str:
    """Send every file of ``folder``. Return the address of the commit.

    Raises InvalidConfigError when the Hub refuses the token, or when the repository exists and is public although
    ``is_private``; NetworkError when the Hub cannot be reached or fails. Then no commit was made.
    """
    disable_progress_bars()
    api = HfApi(endpoint=os.environ.get(ENDPOINT) or None, token=token)
    with _translating(repository, token=token):
        api.create_repo(repository, private=is_private, exist_ok=True)
        if is_private and not api.model_info(repository).private:
            raise InvalidConfigError(
                f"{repository} exists and is public, so nothing was sent; make it private in its settings, or choose "
                "another --repo"
            )
        commit = api.upload_folder(repo_id=repository, folder_path=folder, commit_message=message)
        return str(commit.commit_url)


@contextmanager
def _translating(repository: str, *, token: str) -> Iterator[None]:
    """Turn what ``huggingface_hub`` raises into our errors, without the token."""
    try:
        yield
    except SemillaError:
        raise
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in REFUSED:
            raise InvalidConfigError(
                f"the Hub refused the token in {TOKEN} for {repository} (HTTP {status}); it needs write access"
            ) from None
        raise _fail(f"the Hub answered HTTP {status}: {error.server_message or error}", token) from None
    except Exception as error:  # which one depends on the HTTP library of its version
        raise _fail(f"the Hub could not be reached: {error.__cause__ or error}", token) from None


def _fail(message: str, token: str) -> NetworkError:
    line = " ".join(message.replace(token, "***").split())
    return NetworkError(line, kept="the export on this machine; nothing was published")

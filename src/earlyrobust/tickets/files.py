"""The two files of a ticket, in a folder or on the Hugging Face hub: a JSON file and a file of arrays."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from earlyrobust.errors import TicketError
from earlyrobust.storage import check_can_be_made, write_atomically, write_json
from earlyrobust.tickets import hub

# The JSON file and the file of arrays of each kind of ticket. A folder holds a ticket of one kind.
OF_TICKET = ("ticket.json", "ticket.safetensors")
OF_WEIGHT_TICKET = ("weight_ticket.json", "weight_ticket.safetensors")


class SavedTicket(ABC):
    """Base class that saves and loads tickets as models are saved and loaded, in folders and on the hub.

    Class attributes:
        FORMAT_VERSION: The newest format that this version reads.
        FILES: Names of the JSON file and of the file of arrays.
        KIND: The name of the ticket in messages.
        APPLY: The function that applies the ticket to a classifier.
    """

    FORMAT_VERSION: ClassVar[int]
    FILES: ClassVar[tuple[str, str]]
    KIND: ClassVar[str]
    APPLY: ClassVar[str]

    def __eq__(self, other: object) -> bool:
        """Return whether the other ticket has equal masks, coefficients and facts."""
        if not isinstance(other, SavedTicket) or type(other) is not type(self):
            return NotImplemented
        mine, theirs = self._to_tensors(), other._to_tensors()
        return (
            self._facts() == other._facts()
            and mine.keys() == theirs.keys()
            and all(np.array_equal(mine[name], theirs[name]) for name in mine)
        )

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Return the SHA-256 of the family and the masks."""

    def _facts(self) -> str:
        # As text, because a saved ticket holds lists where its search had tuples.
        return json.dumps(self._to_json(), sort_keys=True)

    def save_pretrained(self, folder: Path | str) -> None:
        """Write the ticket into a folder as a JSON file and a safetensors file.

        A folder holds one ticket. A ticket that is there already is replaced, also if it is of the other
        kind: once the new files are complete, the files of the other kind are removed.

        Args:
            folder: The folder. It is created if it does not exist. Its other files do not change.

        Raises:
            OutputError: If the folder is a file, or cannot be made or written to.
        """
        from safetensors.numpy import save_file

        place = Path(folder)
        check_can_be_made(place)
        json_name, tensors_name = self.FILES
        content, tensors = self._to_json(), self._to_tensors()

        def write(path: Path) -> None:
            write_json(path, content)
            write_atomically(place / tensors_name, lambda path: save_file(tensors, path))

        # Both files are complete before either is moved into place. The JSON file comes last, because a
        # folder without it holds no ticket.
        write_atomically(place / json_name, write)
        for name in self._other_files():
            (place / name).unlink(missing_ok=True)

    @classmethod
    def _other_files(cls) -> list[str]:
        """Return the names of the files of the other kind of ticket."""
        return [name for name in (*OF_TICKET, *OF_WEIGHT_TICKET) if name not in cls.FILES]

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: Path | str,
        *,
        revision: str | None = None,
        token: str | bool | None = None,
    ) -> Self:
        """Read a ticket from a folder or from the Hugging Face hub.

        The folder of a cut model holds its ticket, so the name of a cut model is also the name of a ticket.

        Args:
            name_or_path: A folder, or the name of a repository on the hub, such as "me/my-ticket".
            revision: Branch, tag or commit of the repository; None for its main branch.
            token: Token for a private repository; None for the token of the current login.

        Returns:
            The ticket.

        Raises:
            TicketError: If there is no ticket, or its files are damaged or of a newer format.
        """
        if isinstance(name_or_path, str) and hub.is_name(name_or_path):
            folder = hub.fetch(name_or_path, cls.FILES, revision, token)
        else:
            folder = Path(name_or_path)
        return cls._load(folder, str(name_or_path))

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool | None = None,
        token: str | bool | None = None,
        revision: str | None = None,
        commit_message: str | None = None,
    ) -> str:
        """Upload the ticket to the Hugging Face hub.

        The repository is created if it does not exist. It gets a card if it has none. As in a folder, a
        ticket that is there already is replaced, also if it is of the other kind.

        Args:
            repo_id: Name of the repository, such as "me/my-ticket".
            private: Whether a new repository is private; None for the default of its owner.
            token: Token with the right to write; None for the token of the current login.
            revision: Branch to upload to; None for the main branch.
            commit_message: Message of the commit; None for a default message.

        Returns:
            The address of the commit.

        Raises:
            TicketError: If the hub cannot be reached, or refuses the upload.
        """
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            return hub.push(
                Path(folder),
                repo_id,
                self.card(repo_id),
                private,
                token,
                revision,
                commit_message,
                self._other_files(),
            )

    def card(self, name: str) -> str:
        """Return the card of the ticket in Markdown, as the hub shows it.

        Args:
            name: The name by which the card loads the ticket.
        """
        return hub.card(name, type(self).__name__, self.APPLY, self.summary, self._to_json())

    @property
    @abstractmethod
    def summary(self) -> str:
        """Return a sentence on the parts that the ticket keeps."""

    @abstractmethod
    def _to_json(self) -> dict[str, Any]:
        """Return the content of the JSON file, including its `format_version`."""

    @abstractmethod
    def _to_tensors(self) -> dict[str, NDArray[Any]]:
        """Return the arrays, each contiguous in memory."""

    @classmethod
    @abstractmethod
    def _from_parts(cls, content: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> Self:
        """Make a ticket from the content of both files; any error means that they are damaged."""

    @classmethod
    def _load(cls, folder: Path, name: str) -> Self:
        from safetensors.numpy import load_file

        json_name, tensors_name = cls.FILES
        for file in cls.FILES:
            if not (folder / file).is_file():
                raise TicketError(f"There is no {cls.KIND} in '{name}': {file} is missing.")
        try:
            content = json.loads((folder / json_name).read_text(encoding="utf-8"))
            newer = content["format_version"] > cls.FORMAT_VERSION
            json.dumps(content, allow_nan=False)  # saving the ticket again must not fail
            ticket = None if newer else cls._from_parts(content, load_file(folder / tensors_name))
        except Exception as error:  # the reader of a damaged file can raise anything
            raise TicketError(
                f"The ticket in '{name}' is damaged and cannot be read: copy it again."
            ) from error
        if ticket is None:
            raise TicketError(
                f"The ticket in '{name}' has format {content['format_version']}, newer than the "
                f"{cls.FORMAT_VERSION} that this version reads: update earlyrobust."
            )
        return ticket

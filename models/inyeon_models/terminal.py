"""Shows a build as progress bars: one for each package, one for the files."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from inyeon_models.index import Entry
from inyeon_models.manifest import Product, Source


class BarProgress:
    """The terminal side of `build.Progress`; without a terminal it prints one line a file."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        self._bars = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
        self._packages: dict[str, TaskID] = {}
        self._current: TaskID | None = None

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def fetching(self, source: Source, done_bytes: int) -> None:
        """Move the bar of a package."""
        if source.name not in self._packages:
            self._packages[source.name] = self._bars.add_task(
                f"fetch {source.label}", total=source.size_bytes
            )
        self._bars.update(self._packages[source.name], completed=done_bytes)

    def making(self, product: Product) -> None:
        """Show a bar without an end for the file in work."""
        self._drop_current()
        self._current = self._bars.add_task(f"make {product.file}", total=None)

    def made(self, entry: Entry, *, fresh: bool) -> None:
        """Print what is in place now."""
        self._drop_current()
        if fresh:
            size = f"{entry.size_bytes / 1e6:.1f} MB"
            self._console.print(f"made {entry.file} ({size}, {entry.version})", highlight=False)

    def _drop_current(self) -> None:
        if self._current is not None:
            self._bars.remove_task(self._current)
            self._current = None

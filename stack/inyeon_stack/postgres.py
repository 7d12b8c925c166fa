"""A PostgreSQL server on TCP, from the programs that the wheel pgserver carries."""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import signal
import subprocess
from pathlib import Path

from inyeon_stack.errors import EngineFailed, EngineMissing
from inyeon_stack.ports import free_ports, require_free
from inyeon_stack.postgres_runner import Runner, find_runner
from inyeon_stack.process import Process

ENGINE = "postgresql"
USER = "inyeon"
MAX_CONNECTIONS = 200
DATABASE = re.compile(r"[a-z_][a-z0-9_]{0,62}")
INITDB_S = 120.0  # 1.5 s; a busy disk takes many times that
READY_S = 60.0  # 0.3 s; after a crash it first replays its log
STOP_S = 30.0  # fast shutdown writes a checkpoint: 0.1 s
QUERY_S = 30.0


class Postgres:
    """One server on one folder: data survives `stop`, `kill` and `start`, also of a later object,
    which finds a running server with its port again.

    `durable=False` leaves out fsync: for tests, where losing power loses nothing; what was
    committed survives `kill` all the same. The one user's password is made with the folder: any
    other user of this machine reaches the port, and who is let in runs programs as the owner. Each
    method may wait; none is for the event loop.
    """

    def __init__(self, folder: Path, port: int = 0, *, durable: bool = True) -> None:
        self._folder = folder.resolve()
        self._durable = durable
        # SIGINT is its fast shutdown; SIGTERM would wait until every client has gone.
        self._process = Process(ENGINE, self._folder, stop_signal=signal.SIGINT)
        self.port = self._process.ports.get("port") or port or free_ports(1)[0]

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return self._process.pid

    @property
    def pids(self) -> tuple[int, ...]:
        """The same as a tuple."""
        return () if self.pid is None else (self.pid,)

    @property
    def logs(self) -> tuple[Path, ...]:
        """What the server wrote."""
        return (self._process.log,)

    @property
    def addresses(self) -> tuple[str, ...]:
        """host:port."""
        return (f"127.0.0.1:{self.port}",)

    def url(self, database: str) -> str:
        """postgresql://user:password@host:port/database; `{service}` may stand in the name."""
        return f"postgresql://{USER}:{self._password()}@127.0.0.1:{self.port}/{database}"

    def require_ports(self) -> None:
        """Raises PortTaken where somebody else has its port; nothing where it runs."""
        if self.pid is None:
            require_free(ENGINE, self.port)

    def start(self) -> None:
        """Starts and waits until it answers. Nothing where it runs.

        Raises EngineMissing, PortTaken, EngineFailed.
        """
        if self.pid is not None:
            return
        self.require_ports()
        programs = find_programs()
        self._folder.mkdir(parents=True, exist_ok=True)
        runner = find_runner(self._folder, programs)
        if not (self._data / "PG_VERSION").exists():
            self._initdb(programs, runner)
        argv = [*runner.prefix, str(programs / "postgres"), "-D", str(self._data), *self._options()]
        self._process.launch(argv, _environment(), {"port": self.port}, uid=runner.uid)
        self._process.await_ready(lambda: self._answers(programs), READY_S)

    def stop(self) -> None:
        """Fast shutdown: clients are cut, everything is written. Nothing where it does not run."""
        self._process.stop(STOP_S)

    def kill(self) -> None:
        """SIGKILL for the server and its backends. Nothing where it does not run."""
        self._process.kill()

    def pause(self) -> None:
        """SIGSTOP for the server: it takes no new client, those that it has go on."""
        self._process.pause()

    def resume(self) -> None:
        """SIGCONT."""
        self._process.resume()

    def create(self, database: str) -> None:
        """Makes a database; nothing where it exists. Raises ValueError for a name other than lower
        case letters, digits and _.
        """
        if not DATABASE.fullmatch(database):
            raise ValueError(f"{database!r} is no name of a database")
        found = self._query("postgres", f"SELECT 1 FROM pg_database WHERE datname = '{database}'")  # noqa: S608
        if not found:
            self._query("postgres", f'CREATE DATABASE "{database}"')

    def cut_connections(self, database: str) -> int:
        """Ends every client's connection to the database; returns how many there were."""
        if not DATABASE.fullmatch(database):
            raise ValueError(f"{database!r} is no name of a database")
        cut = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "  # noqa: S608
            f"WHERE datname = '{database}' AND pid <> pg_backend_pid()"
        )
        return int(self._query("postgres", cut))

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _password(self) -> str:
        noted = self._folder / "password"
        if not noted.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            with os.fdopen(
                os.open(noted, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w"
            ) as file:
                file.write(secrets.token_urlsafe(24))
        return noted.read_text()

    def _options(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": str(MAX_CONNECTIONS),
            "timezone": "UTC",
            # In its folder instead of /dev/shm, where a server that is killed leaves it for ever.
            "dynamic_shared_memory_type": "mmap",
        }
        if not self._durable:
            # Commits still go to the operating system one by one: they survive `kill`.
            settings |= {"fsync": "off", "full_page_writes": "off"}
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _initdb(self, programs: Path, runner: Runner) -> None:
        runner.own(self._data)
        secret = self._data.with_name("password.initdb")  # readable by whom initdb runs as
        asked = ["-U", USER, "--auth=scram-sha-256", f"--pwfile={secret}", "-E", "UTF8"]
        argv = [*runner.prefix, str(programs / "initdb"), "-D", str(self._data), *asked]
        try:
            runner.write(secret, self._password())
            ran = _run([*argv, "--no-locale", "--no-sync"], runner.uid)
        finally:
            secret.unlink(missing_ok=True)
        if ran.returncode != 0:
            raise EngineFailed(ENGINE, "initdb failed", (ran.stdout + ran.stderr)[-2000:])

    def _answers(self, programs: Path) -> bool:
        asked = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return _run(asked).returncode == 0

    def _query(self, database: str, statement: str) -> str:
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-d", database]
        asked = [str(find_programs() / "psql"), *where, "-X", "-w", "-A", "-t", "-c", statement]
        ran = _run(asked, password=self._password())
        if ran.returncode != 0:
            raise EngineFailed(ENGINE, f"cannot run {statement.split()[0]}: {ran.stderr.strip()}")
        return ran.stdout.strip()


def find_programs() -> Path:
    """Folder of the programs. Raises EngineMissing.

    The package is found, not imported: importing it makes folders and warns.
    """
    spec = importlib.util.find_spec("pgserver")
    if spec is None or spec.origin is None:
        raise EngineMissing(ENGINE, "the package pgserver is not installed (make setup-dev)")
    programs = Path(spec.origin).parent / "pginstall" / "bin"
    if not (programs / "postgres").exists():
        raise EngineMissing(ENGINE, f"no programs in {programs}")
    return programs


def _environment() -> dict[str, str]:
    """Variables that would change what the programs do by themselves are left out."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("PG", "LC_", "LANG"))}


def _run(
    argv: list[str], uid: int | None = None, *, password: str = ""
) -> subprocess.CompletedProcess[str]:
    env = _environment() | ({"PGPASSWORD": password} if password else {})
    return subprocess.run(  # noqa: S603 - PostgreSQL's own programs
        argv,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INITDB_S,
        cwd="/",
        check=False,
        user=uid,
        group=uid,
        extra_groups=None if uid is None else [],
    )

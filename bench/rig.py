"""What both benchmarks stand on: answers to serve, a server for them, and a way to measure."""

import base64
import dataclasses
import fcntl
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLIENTS = ROOT / "bench/clients"
BUILD = pathlib.Path(os.environ.get("BUILD") or ROOT / "build").resolve()
DIRECTORY = BUILD / "bench"
WWW = DIRECTORY / "answers"
SYSTEM_BUNDLE = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
BUNDLE = DIRECTORY / "bundle.pem"
LUA = os.environ.get("LUA") or "lua5.4"
SIGNATURE = b"\x89PNG\r\n\x1a\n"
IDAT = 32 * 1024  # bytes of pixels in one chunk of a PNG


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    checksum = zlib.crc32(name + content)
    return len(content).to_bytes(4, "big") + name + content + checksum.to_bytes(4, "big")


def png(source: random.Random, size: int) -> bytes:
    """A PNG of so many bytes: whole, but its pixels are random."""
    header = chunk(b"IHDR", (1024).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0")
    end = chunk(b"IEND", b"")
    chunks, left = [], size - len(SIGNATURE) - len(header) - len(end)
    while left:
        pixels = left - 12 if left < IDAT + 24 else IDAT  # the last chunk is no less than empty
        chunks.append(chunk(b"IDAT", source.randbytes(pixels)))
        left -= pixels + 12
    return SIGNATURE + header + b"".join(chunks) + end


@dataclasses.dataclass(frozen=True)
class Body:
    """One answer: `images` pictures of `size` bytes each."""

    name: str
    label: str
    images: int
    size: int

    @property
    def path(self) -> pathlib.Path:
        """The file that the server sends."""
        return WWW / self.name / "images/generations"

    @property
    def image_bytes(self) -> int:
        """What all its pictures have together."""
        return self.images * self.size

    def pictures(self) -> list[bytes]:
        """The pictures: pseudo-random, the same every time."""
        source = random.Random(self.name)
        return [png(source, self.size) for _ in range(self.images)]

    def write(self) -> None:
        """Makes the file, unless it is there."""
        size = self.image_bytes * 4 // 3
        if self.path.exists() and self.path.stat().st_size > size:
            return
        data = [{"b64_json": base64.b64encode(picture).decode(), "revised_prompt": None,
                 "url": None} for picture in self.pictures()]
        usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
        answer = {"created": 1759806089, "background": None, "data": data, "output_format": None,
                  "quality": None, "size": None, "usage": usage}
        write_json(self.path, answer)


@dataclasses.dataclass(frozen=True)
class ChatBody(Body):
    """The same as a conversation's answer. The floor finds it where it finds all."""

    def write(self) -> None:
        """Makes the file, unless it is there."""
        if self.path.exists():
            return
        images = [{"type": "image_url", "index": 0, "image_url": {"url": data_url(picture)}}
                  for picture in self.pictures()]
        message = {"role": "assistant", "images": images}
        answer = {"id": "x", "created": 1759806089, "object": "chat.completion",
                  "choices": [{"finish_reason": "stop", "index": 0, "message": message}]}
        chat = WWW / self.name / "chat/completions"
        write_json(chat, answer)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.symlink_to(chat)


class References:
    """Five pictures of `size` bytes, and a request's body with them ready to be sent."""

    COUNT = 5

    def __init__(self, size: int) -> None:
        self.size = size
        self.directory = DIRECTORY / f"references/{size}"
        self.body = self.directory / "body"
        source = random.Random(size)
        pictures = [png(source, size) for _ in range(self.COUNT)]
        self.directory.mkdir(parents=True, exist_ok=True)
        for i, picture in enumerate(pictures):
            (self.directory / str(i + 1)).write_bytes(picture)
        parts = [{"type": "image_url", "image_url": {"url": data_url(picture)}}
                 for picture in pictures]
        content = [*parts, {"type": "text", "text": "x"}]
        write_json(self.body, {"model": "bench", "modalities": ["image"],
                               "messages": [{"role": "user", "content": content}]})

    @property
    def bytes(self) -> int:
        """What all have together."""
        return self.COUNT * self.size


def data_url(picture: bytes) -> str:
    """A PNG as chat routes have it."""
    return "data:image/png;base64," + base64.b64encode(picture).decode()


def write_json(path: pathlib.Path, value: object) -> None:
    """Writes it whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name("partial")
    partial.write_text(json.dumps(value, separators=(",", ":")))
    partial.rename(path)


TINY = Body("tiny", "one picture of 100 bytes", 1, 100)
ONE = Body("1x2", "1 × 2 MB", 1, 2_000_000)
FOUR = Body("4x2", "4 × 2 MB", 4, 2_000_000)
LARGE = Body("4x8", "4 × 8 MB", 4, 8_000_000)
CHAT = ChatBody("chat", "a data URL of 4 MB", 1, 3_000_000)
BODIES = (TINY, ONE, FOUR, LARGE, CHAT)

# One process without a master: it is this script's child, and ends with it. A POST to a file is
# 405; the error page for that is the file itself. Below /upload a body is read whole, into memory,
# before anything is answered: that is what comes of passing the request on without its body.
CONFIG = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 64; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    default_type application/json;
    client_body_temp_path {directory}/tmp;
    proxy_temp_path {directory}/tmp;
    fastcgi_temp_path {directory}/tmp;
    uwsgi_temp_path {directory}/tmp;
    scgi_temp_path {directory}/tmp;
    keepalive_requests 1000000;
    root {www};
    error_page 405 =200 $uri;
    ssl_certificate {directory}/certificate.pem;
    ssl_certificate_key {directory}/key.pem;
    client_max_body_size 0;
    client_body_buffer_size 64m;
    server {{
        listen 127.0.0.1:{ports[http]};
        listen 127.0.0.1:{ports[https]} ssl http2;
        location /upload/ {{
            proxy_pass http://127.0.0.1:{ports[http]}/taken/;
            proxy_pass_request_body off;
            proxy_set_header Content-Length "";
            proxy_set_header X-Length $request_length;
        }}
        location /taken/ {{
            return 200 '{{"choices":[{{"message":{{"image":{{"url":"data:image/png;base64,QUJD"}}}}}}],"length":$http_x_length}}';
        }}
    }}
    server {{ listen 127.0.0.1:{ports[closing]} ssl; keepalive_timeout 0; }}
}}
"""


class Server:
    """nginx on free loopback ports, as a context manager.

    `http` and `https` (HTTP/1.1 and HTTP/2) are the base URLs of servers that keep connections;
    `closing` is https that ends each connection after one answer.
    """

    def __init__(self) -> None:
        self.directory = DIRECTORY / "nginx"
        self.process: subprocess.Popen[bytes]
        self.http = self.https = self.closing = ""

    def __enter__(self) -> "Server":
        nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
        if not nginx:
            sys.exit("bench: nginx is not installed (Debian: nginx-light)")
        self.directory.mkdir(parents=True, exist_ok=True)
        self.lock = open(DIRECTORY / "lock", "w", encoding="utf-8")
        fcntl.flock(self.lock, fcntl.LOCK_EX)  # one benchmark at a time, until this process ends
        for body in BODIES:
            body.write()
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nginx ends, too
        self.make_certificate()
        ports = free_ports("http", "https", "closing")
        config = self.directory / "nginx.conf"
        config.write_text(CONFIG.format(directory=self.directory, www=WWW, ports=ports))
        self.process = subprocess.Popen(
            [nginx, "-p", self.directory, "-c", config, "-e", self.directory / "error.log"],
            stdin=subprocess.DEVNULL)
        self.http = f"http://127.0.0.1:{ports['http']}"
        self.https = f"https://127.0.0.1:{ports['https']}"
        self.closing = f"https://127.0.0.1:{ports['closing']}"
        self.wait_for(ports["closing"])
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()

    def make_certificate(self) -> None:
        """A certificate for 127.0.0.1, and a bundle of the system's with it at the end."""
        certificate = self.directory / "certificate.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "7", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
             "-keyout", self.directory / "key.pem", "-out", certificate],
            check=True, stderr=subprocess.DEVNULL)
        system = SYSTEM_BUNDLE.read_text() if SYSTEM_BUNDLE.exists() else ""
        BUNDLE.write_text(system + certificate.read_text())

    def wait_for(self, port: int) -> None:
        """Returns when the server answers; ends the program when it does not start."""
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        self.__exit__()
        sys.exit(f"bench: nginx did not start; see {self.directory}/error.log")


def free_ports(*names: str) -> dict[str, int]:
    """A free loopback port for each name."""
    sockets = {name: socket.create_server(("127.0.0.1", 0)) for name in names}
    ports = {name: listener.getsockname()[1] for name, listener in sockets.items()}
    for listener in sockets.values():
        listener.close()
    return ports


def environment(variant: str = "", http2: bool = False) -> dict[str, str]:
    """A client's environment: nothing of the developer's own proxies, keys and Lua paths.

    `variant` picks another build of the module: build/<variant>lua5.4.
    """
    module = BUILD / f"{variant}{pathlib.Path(LUA).name}/?.so"
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
        "LUA_CPATH": f"{module};;",
        "NODE_PATH": str(DIRECTORY / "node_modules"),
        "BENCH_CA": str(BUNDLE),
        "BENCH_HTTP2": "1" if http2 else "0",
    }


@dataclasses.dataclass(frozen=True)
class Usage:
    """What a process and its children used: CPU in seconds, peak of resident memory in bytes."""

    cpu: float
    memory: int


class Failed(Exception):
    """A client ended with an error; the text is the line that says which."""


def run(command: list[str], env: dict[str, str]) -> Usage:
    """Runs a client under bench/measure.c."""
    result = subprocess.run([DIRECTORY / "bin/measure", *command], env=env, text=True,
                            stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines() or [f"status {result.returncode}"]
        raise Failed(next((line for line in lines if "Error:" in line), lines[0]))
    microseconds, kibibytes = result.stdout.split()[-2:]
    return Usage(int(microseconds) / 1e6, int(kibibytes) * 1024)


def median(values: list[float]) -> float:
    """The median, or NaN of nothing."""
    return statistics.median(values) if values else float("nan")


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table, its first column left and all others right."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)

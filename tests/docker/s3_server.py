"""An S3-compatible store outside of a stack: moto's S3, which this process serves by HTTPS."""

import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from botocore.awsrequest import AWSPreparedRequest
from botocore.compat import HTTPHeaders
from moto.core.botocore_stubber import BotocoreStubber
from moto.s3.models import s3_backends

from strata.model.secrets import DerivedSecrets, SecretMaterial

BUCKET, REGION = "backups", "eu-west-1"
AMAZON = f"https://s3.{REGION}.amazonaws.com"
LOCATION = f"""\
<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"""
DENIED = "<Error><Code>InvalidAccessKeyId</Code></Error>"
OWN_HEADERS = {"connection", "content-length", "date", "server"}


def _moto(
    method: str, path: str, headers: Iterable[tuple[str, str]], body: bytes
) -> tuple[int, Mapping[str, str], bytes]:
    given = HTTPHeaders()
    for name, value in headers:
        # moto would take the bucket from the host, too.
        if name.lower() != "host":
            given[name] = value
    request = AWSPreparedRequest(method, f"{AMAZON}{path}", given, body, False)
    answer = BotocoreStubber().process_request(request)
    assert answer is not None
    status, answered, content = answer
    return status, answered, content.encode() if isinstance(content, str) else content


@dataclass
class Store:
    """A store with one bucket. `authority`: what verifies it (PEM). It accepts requests with `access_key`
    and, if it isn't empty, `session`, whatever their signature is, if `allows` does by their method, path
    and body. Each other one is denied."""

    endpoint: str
    authority: str
    access_key: str
    session: str = ""
    allows: Callable[[str, str, bytes], bool] = lambda _method, _path, _body: True


@contextmanager
def s3(folder: Path, address: str, host: str, access_key: str) -> Iterator[Store]:
    """A store at an address of this machine, with a certificate for `host`. `folder` has its key."""
    material = SecretMaterial(DerivedSecrets(b"of this server alone", host, {}), "s3")
    issued = material.issue((host,))
    files = folder / "certificate.pem", folder / "private-key.pem"
    for file, content in zip(files, (issued.certificate_pem, issued.private_key_pem), strict=True):
        file.write_text(content)
    store = Store("", material.trusted_pem, access_key)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            # The bucket may be in the name of the host.
            in_host = self.headers["Host"].startswith(f"{BUCKET}.")
            path = f"/{BUCKET}{self.path}" if in_host else self.path
            if (
                f"Credential={store.access_key}/" in self.headers["Authorization"]
                and self.headers.get("X-Amz-Security-Token", "") == store.session
                and store.allows(self.command, path, body)
            ):
                status, headers, content = _moto(self.command, path, self.headers.items(), body)
            else:
                status, headers, content = HTTPStatus.FORBIDDEN, {}, DENIED.encode()
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in OWN_HEADERS:
                    self.send_header(name, value)
            # That of an object, which a HEAD doesn't send.
            has_content = self.command != "HEAD"
            size = str(len(content)) if has_content else headers.get("content-length", "0")
            self.send_header("Content-Length", size)
            self.end_headers()
            if has_content:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    for method in ("DELETE", "GET", "HEAD", "POST", "PUT"):
        setattr(Handler, f"do_{method}", Handler.answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    with ThreadingHTTPServer((address, 0), Handler) as server:
        created, _, answer = _moto("PUT", f"/{BUCKET}", (), LOCATION.encode())
        assert created == HTTPStatus.OK, answer
        # The handshake is the thread's, not the listener's.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        store.endpoint = f"https://{address}:{server.server_port}"
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield store
        finally:
            server.shutdown()
            # moto has one store in this process, and the next one starts empty.
            for backends in s3_backends.values():
                for backend in backends.values():
                    backend.reset()

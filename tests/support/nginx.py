"""nginx as a backend, on a free port, with a generated configuration."""
import shutil
import subprocess

from support import reserve
from support.wait import DEADLINE_S, until

CONFIG = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 1024; }}
http {{
    log_format connections "$server_protocol $connection $status";
    access_log {folder}/access.log connections;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {http}
    server {{
        listen 127.0.0.1:{port} {listen};
        {server}
        location / {{ proxy_pass http://127.0.0.1:{inner}; }}
    }}
    server {{
        listen 127.0.0.1:{inner};
        access_log off;
        location / {{ return 200 "answer"; }}
    }}
}}
"""


class Nginx:
    """With a certificate it speaks HTTP/2 and HTTP/1.1 by TLS, otherwise HTTP/1.1. It reads a request whole before it answers."""

    def __init__(self, folder, certificate=None, http=""):
        self.folder, self.port, self.inner = folder, reserve.port(), reserve.port()
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        server = f"ssl_certificate {certificate.certificate}; ssl_certificate_key {certificate.key};" if certificate else ""
        path = folder / "nginx.conf"
        path.write_text(CONFIG.format(folder=folder, port=self.port, inner=self.inner, http=http, server=server,
                                      listen="ssl http2" if certificate else ""))
        with open(folder / "nginx.out", "wb") as log:
            self.process = subprocess.Popen([binary, "-p", str(folder), "-e", str(folder / "start.log"), "-c", str(path)],
                                            stdout=log, stderr=log)
        until(lambda: self.process.poll() is not None or (folder / "nginx.pid").exists(), "nginx has started")
        assert self.process.poll() is None, (folder / "nginx.out").read_text()

    def requests(self):
        """Of each request: protocol, number of the connection, status."""
        return [line.split() for line in (self.folder / "access.log").read_text().splitlines()]

    def close(self):
        self.process.terminate()
        self.process.wait(DEADLINE_S)
        reserve.give_back("port", self.port)
        reserve.give_back("port", self.inner)

"""A certificate of its own for each test, made by openssl, and clients that trust it and nothing else."""
import ssl
import subprocess


class Certificate:
    def __init__(self, folder, name="server", host="IP:127.0.0.1"):
        self.certificate, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        self.host = host
        self.renew()

    def renew(self):
        """Another certificate and key in the same files."""
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-days", "2", "-subj", "/CN=carillon test", "-addext", f"subjectAltName={self.host}",
                        "-keyout", self.key, "-out", self.certificate], check=True, capture_output=True)

    @property
    def der(self):
        return ssl.PEM_cert_to_DER_cert(self.certificate.read_text())

    @property
    def options(self):
        return {"tls.certificate": str(self.certificate), "tls.key": str(self.key)}

    def trusted(self):
        return ssl.create_default_context(cafile=self.certificate)

    def client(self):
        """Of a client that shows it and does not look at the other's."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(self.certificate, self.key)
        return context

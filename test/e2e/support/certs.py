# SPDX-License-Identifier: ISC
"""A certificate authority for one test run, made with the openssl command."""
import pathlib
import subprocess

NAMES = ("localhost", "mail.example.org", "*.wild.example.org")


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *map(str, arguments)], check=True,
                          input=data, capture_output=True).stdout


class Leaf:
    """A certificate: chain (leaf first) and key files."""

    def __init__(self, chain, key):
        self.chain = chain
        self.key = key

    def serial(self):
        return openssl("x509", "-in", self.chain, "-noout", "-serial") \
            .decode().strip().split("=")[1]


class Certs:
    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o755)
        self.ca = self.directory / "ca.pem"
        self._ca_key = self.directory / "ca.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj", "/CN=Sallyport test CA", "-keyout", self._ca_key,
                "-out", self.ca, "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def leaf(self, name, kind="ecdsa", names=NAMES, days=30):
        """A new certificate in NAME.pem and NAME.key, replacing an old one."""
        chain = self.directory / f"{name}.pem"
        key = self.directory / f"{name}.key"
        request = self.directory / f"{name}.csr"
        extension = self.directory / f"{name}.ext"
        if kind == "ecdsa":
            openssl("genpkey", "-algorithm", "EC", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-out", key)
        else:
            openssl("genpkey", "-algorithm", "RSA", "-pkeyopt",
                    "rsa_keygen_bits:2048", "-out", key)
        alternatives = [f"DNS:{n}" for n in names] + ["IP:127.0.0.1"]
        extension.write_text(
            f"subjectAltName={','.join(alternatives)}\n"
            "basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\n"
            "extendedKeyUsage=serverAuth\n")
        openssl("req", "-new", "-key", key, "-subj", f"/CN={names[0]}",
                "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey",
                self._ca_key, "-CAcreateserial", "-days", days, "-extfile",
                extension, "-out", chain)
        chain.write_bytes(chain.read_bytes() + self.ca.read_bytes())
        return Leaf(chain, key)

#!/usr/bin/python3
"""spdx.py PACKAGE < COMPONENTS: writes PACKAGE.spdx.json, what is inside of a package as SPDX 2.3.

Each line of COMPONENTS is a component: its name, version, licence (an SPDX expression) and package URL, separated by tabs. Carillon itself is the first. The time is SOURCE_DATE_EPOCH.
"""
import datetime
import hashlib
import json
import os
import re
import sys
from pathlib import Path

package = Path(sys.argv[1])
digest = hashlib.sha256(package.read_bytes()).hexdigest()
created = datetime.datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), datetime.timezone.utc)


def described(number, line):
    name, version, licence, package_url = line.rstrip("\n").split("\t")
    return {
        "SPDXID": f"SPDXRef-{number}-{re.sub('[^A-Za-z0-9.-]', '-', name)}",
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "licenseConcluded": licence,
        "licenseDeclared": licence,
        "copyrightText": "NOASSERTION",
        "filesAnalyzed": False,
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": package_url}],
    }


components = [described(number, line) for number, line in enumerate(sys.stdin)]
whole = {
    "SPDXID": "SPDXRef-Package",
    "name": package.name,
    "versionInfo": components[0]["versionInfo"],
    "packageFileName": package.name,
    "checksums": [{"algorithm": "SHA256", "checksumValue": digest}],
    "downloadLocation": "NOASSERTION",
    "licenseConcluded": "NOASSERTION",
    "licenseDeclared": "NOASSERTION",
    "copyrightText": "NOASSERTION",
    "filesAnalyzed": False,
}
document = {
    "spdxVersion": "SPDX-2.3",
    "dataLicense": "CC0-1.0",
    "SPDXID": "SPDXRef-DOCUMENT",
    "name": package.name,
    "documentNamespace": f"urn:sha256:{digest}",
    "creationInfo": {"created": created.strftime("%Y-%m-%dT%H:%M:%SZ"), "creators": ["Tool: packaging/spdx.py"]},
    "packages": [whole, *components],
    "relationships": [
        {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": whole["SPDXID"]},
        *({"spdxElementId": whole["SPDXID"], "relationshipType": "CONTAINS", "relatedSpdxElement": part["SPDXID"]}
          for part in components),
    ],
}
package.with_name(package.name + ".spdx.json").write_text(json.dumps(document, indent=2) + "\n")

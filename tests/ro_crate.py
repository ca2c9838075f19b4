"""Validates an RO-Crate with the community's validator where no network is: the contexts that a crate names are answered from here.

usage: ro_crate.py CRATE PROFILE…

The context of RO-Crate 1.1 is the one that the community's library `rocrate` carries. That of the terms of Workflow Run Crate 0.5 is eight names, each in the
vocabulary's own namespace.
"""

import io
import json
import sys
import urllib.request
import urllib.response
from email.message import Message
from importlib.resources import files

RUN = "https://w3id.org/ro/terms/workflow-run#"
RUN_TERMS = "ParameterConnection connection sourceParameter targetParameter md5 sha1 sha256 sha512".split()
CONTEXTS = {
    "https://w3id.org/ro/crate/1.1/context": json.loads(files("rocrate").joinpath("data/ro-crate.jsonld").read_text("utf-8"))["@context"],
    "https://w3id.org/ro/terms/workflow-run/context": {term: RUN + term for term in RUN_TERMS},
}


def answer(address: str) -> bytes | None:
    """A context's text; none for everything else."""
    known = CONTEXTS.get(str(address).rstrip("/"))
    return None if known is None else json.dumps({"@context": known}).encode()


class Answer:
    """As much of an answer as the validator looks at."""

    def __init__(self, content: bytes) -> None:
        self.content, self.text = content, content.decode()
        self.status_code, self.ok, self.headers = 200, True, {"Content-Type": "application/ld+json"}

    def json(self) -> object:
        return json.loads(self.text)

    def raise_for_status(self) -> None:
        pass


def closed(opener: object, address: object, *_: object, **__: object) -> object:
    """In the place of every way out."""
    address = getattr(address, "full_url", address)
    content = answer(address)
    if content is None:
        raise OSError(f"there is no network here: {address}")
    headers = Message()
    headers["Content-Type"] = "application/ld+json"
    return urllib.response.addinfourl(io.BytesIO(content), headers, str(address), 200)


def strangers(crate: str) -> set[str]:
    """Names of properties and types in the crate that are no term of its contexts."""
    with open(f"{crate}/ro-crate-metadata.json", encoding="utf-8") as file:
        metadata = json.load(file)
    terms = {"@id", "@type"}.union(*(CONTEXTS[address] for address in metadata["@context"]))
    types = (kind if isinstance(kind, list) else [kind] for kind in (entity["@type"] for entity in metadata["@graph"]))
    used = {name for entity in metadata["@graph"] for name in entity}.union(*types)
    return used - terms


def main() -> int:
    """Validates; the number of profiles that are not met."""
    urllib.request.OpenerDirector.open = closed
    from rocrate_validator import services
    from rocrate_validator.models import Severity, ValidationSettings
    from rocrate_validator.utils.http import HttpRequester

    def get(_: object, address: str, *__: object, **___: object) -> Answer:
        content = answer(address)
        if content is None:
            raise OSError(f"there is no network here: {address}")
        return Answer(content)

    HttpRequester.get = get
    HttpRequester.head = get
    crate, *profiles = sys.argv[1:]
    for name in sorted(strangers(crate)):
        print(f"{name}: no term of the crate's contexts")
    failed = 0
    for profile in profiles:
        settings = ValidationSettings(
            rocrate_uri=crate, profile_identifier=profile, requirement_severity=Severity.REQUIRED, skip_availability_check=True
        )
        result = services.validate(settings)
        issues = result.get_issues(Severity.REQUIRED)
        print(f"{profile}: {len(issues)} issues")
        for issue in issues:
            print(f"  {issue.check.identifier}: {issue.message} ({getattr(issue, 'violatingEntity', '')})")
        failed += bool(issues)
    return failed


if __name__ == "__main__":
    sys.exit(main())

"""requests_json.py BASE COUNT [OUT]: requests, json and base64 over one session."""

import base64
import pathlib
import sys

import requests


def main(base: str, count: str, out: str = "") -> None:
    """Sends COUNT requests; with OUT the last one's pictures become files there."""
    session = requests.Session()
    images: list[bytes] = []
    for _ in range(int(count)):
        response = session.post(
            base + "/images/generations",
            json={"prompt": "x", "n": 4, "model": "bench"},
            headers={"Authorization": "Bearer sk-bench"},
        )
        response.raise_for_status()
        images = [base64.b64decode(item["b64_json"]) for item in response.json()["data"]]
    if out:
        for index, image in enumerate(images, 1):
            pathlib.Path(out, str(index)).write_bytes(image)


main(*sys.argv[1:])

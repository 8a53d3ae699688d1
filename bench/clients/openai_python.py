"""openai_python.py BASE COUNT [OUT]: the openai package for Python."""

import base64
import pathlib
import sys

from openai import OpenAI


def main(base: str, count: str, out: str = "") -> None:
    """Sends COUNT requests; with OUT the last one's pictures become files there."""
    client = OpenAI(base_url=base, api_key="sk-bench", max_retries=0)
    images: list[bytes] = []
    for _ in range(int(count)):
        response = client.images.generate(prompt="x", n=4, model="bench")
        images = [base64.b64decode(item.b64_json) for item in response.data]
    if out:
        for index, image in enumerate(images, 1):
            pathlib.Path(out, str(index)).write_bytes(image)


main(*sys.argv[1:])

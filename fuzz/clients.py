"""Tests the API as client programs use it: examples match their schemas; a Python client generated from the OpenAPI document reads
posts, counts and series; the official client of the Model Context Protocol calls the tools of /mcp.

    OVERHEARD_URL=... OVERHEARD_TOKEN=... python3 fuzz/clients.py FOLDER
"""

import asyncio
import datetime
import json
import os
import pathlib
import subprocess
import sys
import urllib.request

import httpx2
import jsonschema_rs
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

URL = os.environ["OVERHEARD_URL"]
TOKEN = os.environ["OVERHEARD_TOKEN"]
FOLDER = pathlib.Path(sys.argv[1])
POSTS = 300


def examples(document):
    """Every example of the document, with its schema."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            bodies = {"request": operation.get("requestBody", {}), "response": operation["responses"].get("200", {})}
            for side, body in bodies.items():
                content = body.get("content", {}).get("application/json", {})
                if "example" in content:
                    yield f"{method} {path} {side}", content["example"], content["schema"]


def check_examples(document):
    count = 0
    for name, example, schema in examples(document):
        validator = jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})
        errors = [f"{name}: {error.message}" for error in validator.iter_errors(example)]
        assert not errors, "\n".join(errors)
        count += 1
    assert count > 12, f"only {count} examples"


def check_generated_client(document):
    (FOLDER / "openapi.json").write_text(json.dumps(document))
    (FOLDER / "client.yml").write_text("package_name_override: overheard_client\npost_hooks: []\n")
    generate = ["openapi-python-client", "generate", "--meta", "none", "--overwrite", "--fail-on-warning"]
    files = ["--path", FOLDER / "openapi.json", "--config", FOLDER / "client.yml", "--output-path", FOLDER / "overheard_client"]
    subprocess.run(generate + files, check=True, stdout=subprocess.DEVNULL)
    sys.path.insert(0, str(FOLDER))
    from overheard_client import AuthenticatedClient
    from overheard_client.api.analytics import get_api_overview, get_api_series
    from overheard_client.api.posts import get_api_posts
    from overheard_client.models import Problem

    client = AuthenticatedClient(base_url=URL, token=TOKEN)
    from_ = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=3)
    seen, cursor = [], None
    while True:
        page = get_api_posts.sync(client=client, from_=from_, platform=["reviews"], limit=200, **({"cursor": cursor} if cursor else {}))
        seen += page.posts
        cursor = page.next_
        if not cursor:
            break
    assert len({post.post_id for post in seen}) == POSTS, f"{len(seen)} posts"
    assert all("late again" in post.text and post.hashtags == ["late"] for post in seen)
    overview = get_api_overview.sync(client=client, from_=from_)
    assert overview.totals.mentions == POSTS
    series = get_api_series.sync(client=client, from_=from_, by="platform", granularity=3600)
    assert [line.name for line in series.lines] == ["reviews"] and sum(series.lines[0].mentions) == POSTS
    refused = get_api_posts.sync(client=client, limit=0)
    assert isinstance(refused, Problem) and refused.field == "limit"
    stranger = AuthenticatedClient(base_url=URL, token="no such token")
    assert get_api_posts.sync_detailed(client=stranger).status_code == 401


async def check_mcp(mode):
    """An assistant's way to an answer with citations, with or without the handshake of older versions."""
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {TOKEN}"})
    async with http, Client(streamable_http_client(f"{URL}/mcp", http_client=http), mode=mode) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert {"search_posts", "count_mentions", "find_anomalies", "get_post"} <= names, names
        days = {"from": (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=3)).isoformat()}
        counted = await client.call_tool("count_mentions", {**days, "platform": ["reviews"]})
        assert counted.structured_content["totals"]["mentions"] == POSTS, counted
        found = await client.call_tool("search_posts", {**days, "q": "late again", "limit": 5})
        ids = [post["post_id"] for post in found.structured_content["posts"]]
        assert len(ids) == 5 and all(post_id.startswith("reviews:") for post_id in ids), ids
        cited = await client.call_tool("get_post", {"id": ids[0]})
        assert "late again" in cited.structured_content["post"]["text"]
        anomalies = await client.call_tool("find_anomalies", days)
        assert isinstance(anomalies.structured_content["items"], list)
        wrong = await client.call_tool("search_posts", {"limit": 0})
        assert wrong.is_error and "limit" in wrong.content[0].text


def main():
    FOLDER.mkdir(parents=True)
    document = json.load(urllib.request.urlopen(f"{URL}/openapi.json"))
    check_examples(document)
    check_generated_client(document)
    for mode in ["auto", "legacy"]:
        asyncio.run(check_mcp(mode))
    print("clients: the examples, the generated client and the MCP client work")


if __name__ == "__main__":
    main()

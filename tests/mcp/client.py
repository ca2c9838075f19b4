"""Drives `neuroflow mcp` with the official Python client: over pipes with both generations of the protocol, and over HTTP.

Prints one JSON object; the test that starts this reads it. The program is the first argument, the working folder is a project.
"""

import asyncio
import json
import os
import subprocess
import sys

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitResult, Implementation

PROGRAM = sys.argv[1]
ME = Implementation(name="python", version="2")


def proposal(name):
    call = 'ingest.tuning(responses, by = "direction")'
    return {"intent": f"Is the tuning the same when it is asked again ({name})?", "op": "insert_step", "name": name, "call": call, "after": "tuning"}


def pipes():
    return StdioServerParameters(command=PROGRAM, args=["mcp"], env=dict(os.environ), cwd=os.getcwd())


async def decline(context, params):
    return ElicitResult(action="decline")


async def over_pipes(told):
    async with Client(pipes(), client_info=ME) as client:
        told["tools"] = len((await client.list_tools()).tools)
        told["waiting"] = (await client.call_tool("propose_edit", proposal("waiting"))).structured_content
        page = await client.read_resource("neuroflow://stage/decode.classify")
        told["stage"] = page.contents[0].text
    for mode in ["legacy", "auto"]:
        async with Client(pipes(), client_info=ME, mode=mode, elicitation_callback=decline) as client:
            told["declined"] = (await client.call_tool("propose_edit", proposal(f"declined_{mode}"))).structured_content


async def over_http(told):
    server = subprocess.Popen([PROGRAM, "mcp", "--http", "127.0.0.1:0"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        url = server.stderr.readline().removeprefix("listening at ").strip()
        token = server.stderr.readline().split("Bearer ")[1].strip()
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=30) as http:
            async with Client(streamable_http_client(url, http_client=http), client_info=ME) as client:
                told["http"] = (await client.call_tool("propose_edit", proposal("over_http"))).structured_content
                await client.read_resource("neuroflow://note/knowledge/a.md")
            # The same server, another name: what the first one read is not forgotten.
            other = Implementation(name="somebody else", version="3")
            async with Client(streamable_http_client(url, http_client=http), client_info=other) as client:
                told["other"] = (await client.call_tool("propose_edit", proposal("by_another_name"))).structured_content
        try:
            async with Client(url, client_info=ME) as client:
                await client.list_tools()
            told["refused"] = False
        except BaseException:
            told["refused"] = True
    finally:
        server.kill()
        server.wait()


async def main():
    told = {}
    await over_pipes(told)
    await over_http(told)
    print(json.dumps(told))


asyncio.run(main())

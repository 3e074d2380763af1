"""Streams of events: in order, resumable, closed at the end, many listeners on one poller."""

import asyncio
import json

from service.ids import DEFAULT_PROJECT
from service.runtime import job_queries
from service.runtime.events import EventHub


def make_job(database, lines=3, final=True):
    with database.write() as session:
        job = job_queries.create_job(session, DEFAULT_PROJECT, "fit", {})
        job_queries.add_log(session, job.id, [f"line {number}" for number in range(lines)])
        if final:
            job_queries.set_state(session, job, "succeeded")
        return job.id


def parse(text):
    events = []
    for block in text.strip().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if fields:
            events.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return events


def test_a_stream_holds_every_event_in_order_and_ends(client, database):
    other = make_job(database)
    job = make_job(database)
    answer = client.get(f"/v1/jobs/{job}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = parse(answer.text)
    assert [kind for _, kind, _ in events] == ["state", "log", "log", "log", "state"]
    assert [id for id, _, _ in events] == sorted(id for id, _, _ in events)
    assert events[-1][2]["state"] == "succeeded"
    assert other != job


def test_a_stream_goes_on_after_the_last_event_seen(client, database):
    job = make_job(database)
    events = parse(client.get(f"/v1/jobs/{job}/events").text)
    seen = events[1][0]
    for again in (
        client.get(f"/v1/jobs/{job}/events", headers={"last-event-id": str(seen)}),
        client.get(f"/v1/jobs/{job}/events", params={"after": seen}),
    ):
        assert parse(again.text) == events[2:]
    assert client.get(f"/v1/jobs/{job}/events", params={"after": events[-1][0]}).text == ""
    assert client.get(f"/v1/jobs/{job}/events", headers={"last-event-id": "x"}).status_code == 422


def test_many_listeners_share_one_poller_and_see_what_comes_later(database):
    job = make_job(database, final=False)
    hub = EventHub(database, 0.02)

    async def listen(after):
        return parse(b"".join([part async for part in hub.stream(job, after)]).decode())

    def finish():
        with database.write() as session:
            job_queries.set_state(session, job_queries.locked_job(session, job), "failed", error=("x", "y"))

    async def story():
        tasks = [asyncio.create_task(listen(0)) for _ in range(50)]
        await asyncio.sleep(0.1)
        pollers = [task for task in asyncio.all_tasks() if task.get_coro().__name__ == "_poll"]
        assert len(pollers) == 1
        await asyncio.to_thread(finish)
        return await asyncio.wait_for(asyncio.gather(*tasks), 20)

    streams = asyncio.run(story())
    assert len(streams) == 50 and all(stream == streams[0] for stream in streams)
    assert streams[0][-1][2]["error"] == {"code": "x", "message": "y"}


def test_a_listener_that_leaves_is_forgotten(database):
    job = make_job(database, final=False)
    hub = EventHub(database, 0.02)

    async def story():
        stream = hub.stream(job, 0)
        await anext(stream)
        assert len(hub._listeners) == 1
        await stream.aclose()
        assert not hub._listeners
        await asyncio.sleep(0.2)
        assert hub._poller.done()

    asyncio.run(story())

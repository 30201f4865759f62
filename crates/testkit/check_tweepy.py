"""Checks the simulator of X with a client that we did not write: tweepy (pip install tweepy).

usage: check_tweepy.py SIMULATOR [POSTS.jsonl]

SIMULATOR is the x-simulator program. It is started on a free port with faults off, then driven through tweepy's
StreamingClient and Client: rules are added, refused, tried out and deleted; posts are streamed; the search is paged; a
second connection and a wrong token are refused. Exits with 1 and the name of the check that failed.
"""

import re
import subprocess
import sys
import threading
import time

import tweepy

TOKEN = "simulator-token"


class Listener(tweepy.StreamingClient):
    """Collects what the stream brings."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.posts, self.tags, self.keep_alives, self.problems = [], set(), 0, []

    def on_response(self, response):
        self.posts.append(response)
        self.tags.update(rule.tag for rule in response.matching_rules)

    def on_keep_alive(self):
        self.keep_alives += 1

    def on_request_error(self, status_code):
        self.problems.append(status_code)
        self.disconnect()


def point_at(client, url):
    """tweepy has X's address in one method: the path is kept, the host replaced."""
    real = client.session.request

    def request(method, address, *args, **kwargs):
        return real(method, address.replace("https://api.twitter.com", url).replace("https://api.x.com", url), *args, **kwargs)

    client.session.request = request
    return client


def check(name, passed, seen=""):
    print(("ok   " if passed else "FAIL ") + name, seen)
    if not passed:
        sys.exit(1)


def wait(done, seconds=20):
    end = time.time() + seconds
    while time.time() < end and not done():
        time.sleep(0.05)
    return done()


def run(url):
    stream = point_at(Listener(TOKEN, max_retries=1), url)
    added = stream.add_rules([tweepy.StreamRule("nordwind OR united", tag="airlines"), tweepy.StreamRule("lang:en", tag="bad")])
    check("a good rule is added and a bad one named", len(added.data) == 1 and len(added.errors) == 1, added.errors[0]["title"])
    check("a repeated rule is refused", stream.add_rules(tweepy.StreamRule("nordwind OR united")).errors[0]["title"] == "DuplicateRule")
    stream.add_rules(tweepy.StreamRule("oslo", tag="places"), dry_run=True)
    rules = stream.get_rules().data
    check("a dry run changes nothing", [rule.tag for rule in rules] == ["airlines"])
    thread = threading.Thread(target=stream.filter, kwargs={"tweet_fields": ["created_at"], "expansions": ["author_id"]}, daemon=True)
    thread.start()
    check("posts are streamed", wait(lambda: len(stream.posts) >= 20), len(stream.posts))
    first = stream.posts[0]
    check("a post has its text, date and author", first.data.text and first.data.created_at and first.includes["users"][0].username)
    check("the tag names the rule", stream.tags == {"airlines"})
    second = point_at(Listener(TOKEN, max_retries=0), url)
    second.filter()
    check("a second connection is refused with 429", second.problems == [429], second.problems)
    client = point_at(tweepy.Client(TOKEN, wait_on_rate_limit=False), url)
    pages = list(tweepy.Paginator(client.search_recent_tweets, "nordwind OR united", max_results=10, limit=3))
    ids = [post.id for page in pages for post in page.data or []]
    check("the search is paged, newest first, nothing twice", len(ids) > 10 and ids == sorted(set(ids), reverse=True), len(ids))
    try:
        point_at(tweepy.Client("wrong"), url).search_recent_tweets("nordwind")
        check("a wrong token is refused", False)
    except tweepy.Unauthorized:
        check("a wrong token is refused", True)
    deleted = stream.delete_rules([rules[0].id])
    check("a rule is deleted", deleted.meta["summary"]["deleted"] == 1 and not stream.get_rules().data)
    check("without posts blank lines keep the stream alive", wait(lambda: stream.keep_alives >= 2), stream.keep_alives)
    check("no problem was met", not stream.problems, stream.problems)
    stream.disconnect()


def main():
    program, *posts = sys.argv[1:]
    command = [program, *posts, "--address", "127.0.0.1:0", "--posts-per-second", "100", "--keep-alive-s", "0.3"]
    simulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = re.search(r"http://[\d.:]+", simulator.stdout.readline()).group()
        run(url)
    finally:
        simulator.kill()


if __name__ == "__main__":
    main()

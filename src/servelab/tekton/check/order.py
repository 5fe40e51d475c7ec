"""The order of a pipeline's tasks: what each waits for exists, and nothing waits for itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from servelab.tekton.check.params import Found, items
from servelab.tekton.graph import result_sources, run_after


def check_order(spec: Mapping[str, Any]) -> Iterator[Found]:
    """Dangling and circular dependencies, by runAfter and by results; paths begin below the spec."""
    tasks = items(spec, "tasks")
    names = {str(task.get("name")) for _, task in tasks}
    final = {str(task.get("name")) for _, task in items(spec, "finally")}
    sources = {index: result_sources(task) for index, task in tasks}
    for index, task in tasks:
        for place, earlier in enumerate(run_after(task)):
            path = ("tasks", index, "runAfter", place)
            if earlier == task.get("name"):
                yield path, f"task `{earlier}` runs after itself"
            elif earlier not in names:
                also = ", it is a final task" if earlier in final else ""
                yield path, f"there is no task `{earlier}` to run after{also}"
        if task.get("name") in sources[index]:
            yield ("tasks", index), f"task `{task['name']}` uses a result of itself"
    for index, task in items(spec, "finally"):
        if task.get("runAfter"):
            named = ", ".join(f"`{name}`" for name in run_after(task))
            yield (
                ("finally", index, "runAfter"),
                f"final tasks have no order among themselves: task `{task.get('name')}` has runAfter {named}",
            )
    waits = {str(task.get("name")): [*run_after(task), *sources[index]] for index, task in tasks}
    cycle = find_cycle(waits)
    if cycle:
        yield ("tasks",), f"tasks wait for one another: {' -> '.join(f'`{name}`' for name in cycle)}"


def find_cycle(waits: Mapping[str, list[str]]) -> list[str]:
    """Names that wait for one another in a circle of at least two, the first one repeated at the end; or nothing."""
    done: set[str] = set()
    for start in waits:
        path: list[str] = []
        on_path: set[str] = set()
        stack = [(start, iter(waits[start]))] if start not in done else []
        while stack:
            name, rest = stack[-1]
            if name not in on_path:
                path.append(name)
                on_path.add(name)
            following = next((other for other in rest if other in waits and other != name and other not in done), None)
            if following is None:
                stack.pop()
                done.add(path.pop())
                on_path.discard(name)
            elif following in on_path:
                return [*path[path.index(following) :], following]
            else:
                stack.append((following, iter(waits[following])))
    return []

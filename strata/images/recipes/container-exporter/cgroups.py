"""What a container uses, from the files of cgroup v1 and v2."""

from __future__ import annotations

from pathlib import Path

# cAdvisor shows a limit above 2^62 as 0: "unlimited" in cgroup v1 is 2^63, rounded to a page.
UNLIMITED = 1 << 62
BLOCK_DEVICES = Path("/sys/dev/block")
# The cgroup of a container below the root of a hierarchy, by Docker's driver: cgroupfs, systemd.
CGROUPS = ("docker/{}", "system.slice/docker-{}.scope")


def table(path: Path) -> dict[str, int]:
    """A flat keyed file: one name and one number per line. Raises ValueError for any other content."""
    return {
        name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())
    }


def integer(path: Path) -> int:
    """The number in a file; 0 if it means unlimited (`max` in cgroup v2)."""
    text = path.read_text().strip()
    value = 0 if text == "max" else int(text)
    return 0 if value > UNLIMITED else value


class Usage:
    """The measurements of one container's cgroup: samples without the container's own labels, and how
    many processes the kernel killed because memory ran out."""

    def __init__(self) -> None:
        self.samples: list[tuple[str, dict[str, str], float]] = []
        self.oom_kills = 0

    def add(self, name: str, value: float, **more: str) -> None:
        self.samples.append((name, more, value))

    def memory(self, usage: int, inactive_file: int, rss: int, cache: int, limit: int) -> None:
        self.add("container_memory_usage_bytes", usage)
        self.add("container_memory_working_set_bytes", max(usage - inactive_file, 0))
        self.add("container_memory_rss", rss)
        self.add("container_memory_cache", cache)
        self.add("container_spec_memory_limit_bytes", limit)

    def cpu(self, seconds: float, period: int) -> None:
        self.add("container_cpu_usage_seconds_total", seconds, cpu="total")
        self.add("container_spec_cpu_period", period)

    def quota(self, quota: int, periods: int, throttled: int, throttled_seconds: float) -> None:
        """Only for a container with a quota, as in cAdvisor."""
        self.add("container_spec_cpu_quota", quota)
        self.add("container_cpu_cfs_periods_total", periods)
        self.add("container_cpu_cfs_throttled_periods_total", throttled)
        self.add("container_cpu_cfs_throttled_seconds_total", throttled_seconds)

    def threads(self, folder: Path) -> None:
        """`pids.*` is the same in both versions. A host may lack the controller."""
        if (folder / "pids.current").exists():
            self.add("container_threads", integer(folder / "pids.current"))
            self.add("container_threads_max", integer(folder / "pids.max"))

    def blocks(self, device: str, read_bytes: int, written_bytes: int) -> None:
        name = device_name(device)
        self.add("container_fs_reads_bytes_total", read_bytes, device=name)
        self.add("container_fs_writes_bytes_total", written_bytes, device=name)


def device_name(number: str) -> str:
    """`/dev/vda` for `254:0`, or the number itself if the kernel has no name for it."""
    try:
        return f"/dev/{(BLOCK_DEVICES / number).readlink().name}"
    except OSError:
        return number


def place(root: Path, container: str) -> Path | None:
    """The cgroup of a container below `root`; None if the container doesn't run."""
    for pattern in CGROUPS:
        folder = root / pattern.format(container)
        if folder.is_dir():
            return folder
    return None


def usage_v1(root: Path, container: str) -> Usage | None:
    """From cgroup v1, which has one hierarchy per controller. None if the container doesn't run. Raises
    OSError if it ends meanwhile, ValueError or KeyError if a file isn't in the kernel's format."""
    memory = place(root / "memory", container)
    cpu = place(root / "cpu", container)
    accounting = place(root / "cpuacct", container)
    if memory is None or cpu is None or accounting is None:
        return None
    usage = Usage()
    stat = table(memory / "memory.stat")
    usage.memory(
        integer(memory / "memory.usage_in_bytes"),
        stat["total_inactive_file"],
        stat["total_rss"],
        stat["total_cache"],
        integer(memory / "memory.limit_in_bytes"),
    )
    # The kernel counts kills since 4.13.
    usage.oom_kills = table(memory / "memory.oom_control").get("oom_kill", 0)
    usage.cpu(integer(accounting / "cpuacct.usage") / 1e9, integer(cpu / "cpu.cfs_period_us"))
    quota = integer(cpu / "cpu.cfs_quota_us")
    if quota > 0:
        stat = table(cpu / "cpu.stat")
        usage.quota(quota, stat["nr_periods"], stat["nr_throttled"], stat["throttled_time"] / 1e9)
    pids = place(root / "pids", container)
    if pids:
        usage.threads(pids)
    blkio = place(root / "blkio", container)
    if blkio:
        transferred: dict[str, dict[str, int]] = {}
        blocks = blkio / "blkio.throttle.io_service_bytes_recursive"
        for line in blocks.read_text().splitlines():
            fields = line.split()
            if len(fields) == 3:  # The last line is the total.
                transferred.setdefault(fields[0], {})[fields[1]] = int(fields[2])
        for device, bytes_by in transferred.items():
            usage.blocks(device, bytes_by["Read"], bytes_by["Write"])
    return usage


def usage_v2(root: Path, container: str) -> Usage | None:
    """From cgroup v2, which has one hierarchy. Returns and raises the same as `usage_v1`."""
    folder = place(root, container)
    if folder is None:
        return None
    usage = Usage()
    stat = table(folder / "memory.stat")
    usage.memory(
        integer(folder / "memory.current"),
        stat["inactive_file"],
        stat["anon"],
        stat["file"],
        integer(folder / "memory.max"),
    )
    usage.oom_kills = table(folder / "memory.events")["oom_kill"]
    stat = table(folder / "cpu.stat")
    quota, period = (folder / "cpu.max").read_text().split()
    usage.cpu(stat["usage_usec"] / 1e6, int(period))
    if quota != "max":
        usage.quota(
            int(quota), stat["nr_periods"], stat["nr_throttled"], stat["throttled_usec"] / 1e6
        )
    usage.threads(folder)
    blocks = folder / "io.stat"
    if blocks.exists():
        for line in blocks.read_text().splitlines():
            device, *fields = line.split()
            values = dict(field.split("=", 1) for field in fields)
            if "rbytes" in values:
                usage.blocks(device, int(values["rbytes"]), int(values["wbytes"]))
    return usage

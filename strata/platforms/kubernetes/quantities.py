"""Amounts as Kubernetes writes them back, so that nothing looks changed when it is read again."""


def cores(amount: float) -> str:
    """Cores, in thousandths where they are not whole. A thousandth is the least there is."""
    thousandths = max(1, round(amount * 1000))
    whole, rest = divmod(thousandths, 1000)
    return f"{thousandths}m" if rest else str(whole)


def mebibytes(amount: int) -> str:
    """MiB, in the largest binary unit that leaves a whole number (resource.Quantity's canonical
    form)."""
    units = ("Mi", "Gi", "Ti")
    unit = 0
    while amount and amount % 1024 == 0 and unit < len(units) - 1:
        amount //= 1024
        unit += 1
    return f"{amount}{units[unit]}"

"""Websites as a config lists them."""


def website(domain: str, *checks: str, frequency: str = "5m") -> str:
    listed = ", ".join(checks or ["{status-is: 200}"])
    return (
        f"  - domain: {domain}\n    ipv6: false\n    frequency: {frequency}\n"
        f"    paths: [{{path: /, checks: [{listed}]}}]\n"
    )

"""From a jaxpr to recorded steps: calls are looked through, operations get a meaning."""

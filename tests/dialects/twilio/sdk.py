"""The vendor's Python SDK, with nothing changed but where it sends its requests."""

from twilio.rest import Client


def client(edge, account, token, user=None):
    base = f"http://{edge[0]}:{edge[1]}"
    sdk = Client(user or account, token, account) if user else Client(account, token)
    sdk.api.base_url = base
    sdk.taskrouter.base_url = base
    return sdk

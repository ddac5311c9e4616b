"""What the end-to-end suites share: a scripted upstream, the gateway process, raw HTTP, recorded traffic."""

"""The command `segel`. Needs the extra `segel[cli]`; its `pdf` commands need `segel[pdf]` as well."""

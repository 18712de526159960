"""What a program does with pykeepass-cache: ``passwords.py FOLDER``. The first one starts the daemon, which the others use."""

import pathlib
import sys

import pykeepass
import pykeepass_cache.pykeepass_cache

folder = pathlib.Path(sys.argv[1])
database, options = str(folder / "passwords.kdbx"), {"socket_path": str(folder / "socket"), "timeout": 60}
if sys.argv[2:] == ["close"]:
    pykeepass_cache.pykeepass_cache.close(**options)
    sys.exit()
if not pathlib.Path(database).exists():
    pykeepass.create_database(database, password="secret")
before = sorted(pykeepass_cache.cached_databases(**options))
kp = pykeepass_cache.PyKeePass(database, password="secret", **options)
title = f"entry {len(kp.entries)}"
kp.add_entry(kp.root_group, title, "somebody", f"password {len(kp.entries)}")
entry = kp.find_entries(title=title, first=True)
group = kp.find_groups(name="shared", first=True) or kp.add_group(kp.root_group, "shared")
print(len(before), entry.title, entry.username, entry.password, group.name, sorted(e.title for e in kp.entries))
kp.save()

"""What runs in the container that sees a volume: bash, in the volume's own folder.

A restore exchanges the content of a volume for what was unpacked beside it. Every step is a rename,
or can be told by what is there: so `UNDO` and `PREPARE` work after a kill at any of them, their own
included.
"""

from strata.ops.content import ROOT

STAGED = ROOT  # Where the engine unpacks an archive to.
ENTERING = "strata-restoring"  # The same, while its content takes its place.
REPLACED = "strata-before-restore"

# What a restore that was killed has left is not part of the content. Half way through an exchange
# there is no telling what is.
READ = f"""
if [ -e {REPLACED} ] && [ -e {STAGED} -o -e {ENTERING} ]; then
    echo "a restore of this volume was broken off half way: run it again" >&2
    exit 1
fi
exec tar --create --format=gnu --numeric-owner --sort=name --one-file-system --anchored \\
    --exclude={ROOT}/{REPLACED} --exclude={ROOT}/{STAGED} --exclude={ROOT}/{ENTERING} \\
    --directory=/ {ROOT}
"""

READ_STAGED = f"exec tar --create --format=gnu --numeric-owner --sort=name {STAGED}"

_MOVE = f"""
move() {{ # move FROM TO: all that is in FROM, but for the folders of a restore
    find "$1" -mindepth 1 -maxdepth 1 \\
        ! -name {STAGED} ! -name {ENTERING} ! -name {REPLACED} \\
        -exec mv --target-directory="$2" -- {{}} +
}}
own() {{ # own FROM TO: TO belongs to whom FROM does, with the same mode
    chown --reference="$1" "$2"
    chmod --reference="$1" "$2"
}}
"""

# The folder for the old appears with the mode and owner of the volume: an undo takes them from it.
EXCHANGE = f"""{_MOVE}
mkdir {STAGED}/{REPLACED}
own . {STAGED}/{REPLACED}
mv {STAGED}/{REPLACED} {REPLACED}
move . {REPLACED}
mv {STAGED} {ENTERING}
move {ENTERING} .
own {ENTERING} .
rmdir {ENTERING}
"""

UNDO = f"""{_MOVE}
if [ -e {REPLACED} ]; then
    if [ ! -e {STAGED} ]; then # All of the old is put aside: the rest is of the backup.
        find . -mindepth 1 -maxdepth 1 ! -name {REPLACED} -exec rm -rf -- {{}} +
        mkdir {STAGED} # Says, to an undo after a kill of this one, that the rest is gone.
    fi
    move {REPLACED} .
    own {REPLACED} .
    rmdir {REPLACED}
fi
rm -rf {STAGED} {ENTERING}
"""

# A restore that was killed after the exchange was through has only left the old behind.
PREPARE = f"""
if [ -e {REPLACED} ] && [ ! -e {STAGED} ] && [ ! -e {ENTERING} ]; then
    rm -rf {REPLACED}
fi
{UNDO}"""

COMMIT = f"rm -rf {REPLACED}"

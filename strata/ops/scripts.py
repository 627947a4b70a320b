"""The scripts that run in the container with a volume: bash, in the volume's own folder.

A restore replaces the content of a volume with the content unpacked beside it. Every step is a
rename, or shows in the folders that exist. So `UNDO` and `PREPARE` work after a kill at any step,
their own included.
"""

from strata.ops.content import ROOT

STAGED = ROOT  # The engine unpacks an archive to it.
ENTERING = "strata-restoring"  # The same, while its content takes its place.
REPLACED = "strata-before-restore"

# The folders of an interrupted restore are not part of the content. Halfway through an exchange the
# content can't be told apart.
READ = f"""
if [ -e {REPLACED} ] && [ -e {STAGED} -o -e {ENTERING} ]; then
    echo "a restore of this volume was interrupted: run it again" >&2
    exit 1
fi
exec tar --create --format=gnu --numeric-owner --sort=name --one-file-system --anchored \\
    --exclude={ROOT}/{REPLACED} --exclude={ROOT}/{STAGED} --exclude={ROOT}/{ENTERING} \\
    --directory=/ {ROOT}
"""

READ_STAGED = f"exec tar --create --format=gnu --numeric-owner --sort=name {STAGED}"

_MOVE = f"""
move() {{ # move FROM TO: the content of FROM without the folders of a restore
    find "$1" -mindepth 1 -maxdepth 1 \\
        ! -name {STAGED} ! -name {ENTERING} ! -name {REPLACED} \\
        -exec mv --target-directory="$2" -- {{}} +
}}
own() {{ # own FROM TO: gives TO the owner and mode of FROM
    chown --reference="$1" "$2"
    chmod --reference="$1" "$2"
}}
"""

# Replaces the content with the staged content, and keeps the old content until COMMIT. The folder for
# the old content appears with the mode and owner of the volume, for an undo.
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

# Rolls the volume back to before it was staged, from any step since.
UNDO = f"""{_MOVE}
if [ -e {REPLACED} ]; then
    if [ ! -e {STAGED} ]; then # The old content is all moved: the rest is the backup's.
        find . -mindepth 1 -maxdepth 1 ! -name {REPLACED} -exec rm -rf -- {{}} +
        mkdir {STAGED} # Shows an undo after a kill of this one that the rest is gone.
    fi
    move {REPLACED} .
    own {REPLACED} .
    rmdir {REPLACED}
fi
rm -rf {STAGED} {ENTERING}
"""

# Removes what an interrupted restore left. One that was killed after the exchange left only the old
# content.
PREPARE = f"""
if [ -e {REPLACED} ] && [ ! -e {STAGED} ] && [ ! -e {ENTERING} ]; then
    rm -rf {REPLACED}
fi
{UNDO}"""

# Removes the old content.
COMMIT = f"rm -rf {REPLACED}"

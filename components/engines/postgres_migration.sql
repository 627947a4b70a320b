-- Migrates a cluster whose application was the superuser: the role of initdb, which has this id. Such a
-- role can't lose its rights or rename itself, so it gets another name, and the application a new role.
-- Run in single-user mode in the application's database. Running it again changes nothing.
DO $$
DECLARE
    object record;
BEGIN
    IF (SELECT rolname FROM pg_roles WHERE oid = 10) <> 'postgres' THEN
        CREATE ROLE renamer SUPERUSER;
        SET SESSION AUTHORIZATION renamer;
        ALTER ROLE strata RENAME TO postgres;
        SET SESSION AUTHORIZATION postgres;
        DROP ROLE renamer;
        CREATE ROLE strata;
        CREATE EXTENSION IF NOT EXISTS vector SCHEMA public;
        FOR object IN
            SELECT identified.type, identified.identity
            FROM (
                SELECT 'pg_class'::regclass AS class, oid FROM pg_class
                    WHERE relowner = 10 AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
                UNION ALL SELECT 'pg_namespace'::regclass, oid FROM pg_namespace WHERE nspowner = 10
                UNION ALL SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE proowner = 10
                UNION ALL SELECT 'pg_type'::regclass, oid FROM pg_type WHERE typowner = 10
                UNION ALL SELECT 'pg_largeobject'::regclass, oid FROM pg_largeobject_metadata
                    WHERE lomowner = 10
            ) AS owned, pg_identify_object(owned.class, owned.oid, 0) AS identified
            -- Lower ids are those of initdb's objects (FirstNormalObjectId).
            WHERE owned.oid >= 16384 AND NOT EXISTS (
                -- Members of an extension stay the superuser's. The row type of a table and the sequence
                -- of a column follow their table; a partition, which depends on its table too, doesn't.
                SELECT FROM pg_depend
                WHERE pg_depend.classid = owned.class AND pg_depend.objid = owned.oid AND objsubid = 0
                    AND (deptype IN ('e', 'i') OR deptype = 'a' AND identified.type = 'sequence')
            )
        LOOP
            EXECUTE format('ALTER %s %s OWNER TO strata', object.type, object.identity);
        END LOOP;
    END IF;
END
$$;

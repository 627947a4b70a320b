-- The roles and the owner of the database. Run in single-user mode, which ends a statement at a semicolon
-- and an empty line. Running it again changes nothing. It isn't run in the application's database, whose
-- owner could prepare that for it.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['strata', 'exporter', 'health'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I', name);
        END IF;
    END LOOP;
END
$$;

-- The superuser logs in on the socket, without a password (pg_hba.conf), and never runs the database
-- owner's functions by accident.
ALTER ROLE postgres PASSWORD NULL;

ALTER ROLE postgres SET search_path = pg_catalog;

ALTER ROLE strata LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD '@verifier@';

ALTER ROLE exporter LOGIN PASSWORD '@verifier@';

ALTER ROLE health LOGIN PASSWORD NULL;

-- Reserved connections, so that an application that uses up the others neither hides itself from the
-- exporter nor makes the database unhealthy.
GRANT pg_monitor, pg_use_reserved_connections TO exporter;

GRANT pg_use_reserved_connections TO health;

ALTER DATABASE strata OWNER TO strata;

REVOKE ALL ON DATABASE strata FROM PUBLIC;

GRANT CONNECT ON DATABASE strata TO exporter;

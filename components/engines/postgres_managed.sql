-- The roles of a managed PostgreSQL, and the owner of its database: the same as postgres.sql sets up in a
-- container. Run by the provider's administrator, who isn't a superuser, in the application's database.
-- Running it again changes nothing but passwords that were rotated.

-- Whatever the application has created in its database has no effect on these statements.
SET search_path = pg_catalog;

-- Not what exists already.
SET client_min_messages = warning;

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['strata', 'exporter'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I', name);
        END IF;
    END LOOP;
END
$$;

-- A new role has no other rights, and only a superuser may say so.
ALTER ROLE strata LOGIN NOCREATEDB NOCREATEROLE PASSWORD '@verifier@';

ALTER ROLE exporter LOGIN PASSWORD '@verifier@';

GRANT pg_monitor TO exporter;

-- Only a member of a role can give it a database.
GRANT strata TO CURRENT_USER;

CREATE EXTENSION IF NOT EXISTS vector SCHEMA public;

DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I OWNER TO strata', current_database());
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO exporter', current_database());
END
$$;

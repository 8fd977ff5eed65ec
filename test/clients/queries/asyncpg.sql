-- What asyncpg 0.27 sends on its pool, captured from the real client. Every statement must run.

select 1;

SELECT pg_advisory_unlock_all();
CLOSE ALL;
UNLISTEN *;
RESET ALL;

-- The orders, for PostgreSQL and SQLite. The table of the outbox stands beside it, in the same database.
CREATE TABLE IF NOT EXISTS orders (
  id text PRIMARY KEY,
  version integer NOT NULL,
  status text NOT NULL CHECK (status IN ('placed', 'paid')),
  customer text NOT NULL,
  total integer NOT NULL CHECK (total > 0), -- in cents
  place_key text NOT NULL UNIQUE, -- the keys of the requests that made this order and paid it
  pay_key text
);

-- Agencies whose address-confidentiality list was replaced, until what was stored earlier of its plates is destroyed.
CREATE TABLE confidential_sweeps (
    agency_id text PRIMARY KEY,
    wanted_at timestamptz NOT NULL
);

SET LOCAL lock_timeout = '5s';--> statement-breakpoint
SET LOCAL statement_timeout = '60s';--> statement-breakpoint
ALTER TABLE "users" ADD COLUMN "imported_id" text COLLATE "C";--> statement-breakpoint
ALTER TABLE "users" ADD COLUMN "imported_digests" "bytea";--> statement-breakpoint
-- A column that is new has nothing to index: it is read once, within the time limit above.
-- squawk-ignore require-concurrent-index-creation
CREATE UNIQUE INDEX "users_imported_id_unique" ON "users" USING btree ("imported_id") WHERE "users"."imported_id" is not null;
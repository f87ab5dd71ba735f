-- Processes of the version before must be stopped: their statements name types that are gone afterwards.
-- So nothing waits for these locks, and each table is read once for the new type and the check together.
-- squawk-ignore-file changing-column-type, constraint-missing-not-valid
SET LOCAL lock_timeout = '5s';--> statement-breakpoint
-- Each statement writes its table anew. With no process running, only the size of the table counts.
SET LOCAL statement_timeout = '30min';--> statement-breakpoint
ALTER TABLE "one_time_passwords"
	ALTER COLUMN "purpose" SET DATA TYPE text,
	ADD CONSTRAINT "one_time_passwords_purpose_known" CHECK ("one_time_passwords"."purpose" in ('VERIFICATION', 'AUTHENTICATION', 'PASSWORD_RESET'));--> statement-breakpoint
ALTER TABLE "security_tokens"
	ALTER COLUMN "kind" SET DATA TYPE text,
	ADD CONSTRAINT "security_tokens_kind_known" CHECK ("security_tokens"."kind" in ('email', 'phone'));--> statement-breakpoint
ALTER TABLE "sessions"
	ALTER COLUMN "authentication_methods" SET DATA TYPE text[],
	ADD CONSTRAINT "sessions_authentication_methods_known" CHECK ("sessions"."authentication_methods" <@ array['PASSWORD', 'EMAIL_ONE_TIME_PASSWORD', 'PHONE_ONE_TIME_PASSWORD']);--> statement-breakpoint
DROP TYPE "public"."address_kind";--> statement-breakpoint
DROP TYPE "public"."authentication_method";--> statement-breakpoint
DROP TYPE "public"."one_time_password_purpose";

SET LOCAL lock_timeout = '5s';--> statement-breakpoint
SET LOCAL statement_timeout = '5min';--> statement-breakpoint
CREATE TABLE "delayed_notices" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "delayed_notices_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"user_id" uuid NOT NULL,
	"address_kind" text NOT NULL,
	"due_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "pending_addresses" (
	"user_id" uuid NOT NULL,
	"kind" text NOT NULL,
	"token_id" text COLLATE "C" NOT NULL,
	"address" text NOT NULL,
	"given_at_sign_up" boolean DEFAULT false NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT statement_timestamp() NOT NULL,
	CONSTRAINT "pending_addresses_user_id_kind_pk" PRIMARY KEY("user_id","kind"),
	CONSTRAINT "pending_addresses_kind_known" CHECK ("pending_addresses"."kind" in ('email', 'phone'))
);
--> statement-breakpoint
ALTER TABLE "one_time_passwords" ADD COLUMN "unverified_address" text;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "opened_by_sign_up" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "password_proof_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "address_proof_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "address_proof_verified_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "users" ADD COLUMN "password_changed_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "delayed_notices" ADD CONSTRAINT "delayed_notices_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "pending_addresses" ADD CONSTRAINT "pending_addresses_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "delayed_notices_due_at" ON "delayed_notices" USING btree ("due_at");--> statement-breakpoint
CREATE INDEX "delayed_notices_user" ON "delayed_notices" USING btree ("user_id");--> statement-breakpoint
CREATE INDEX "pending_addresses_token" ON "pending_addresses" USING btree ("token_id","created_at");--> statement-breakpoint
-- Moves unverified addresses that reserve nothing to pending_addresses. Null moves all of them.
-- Rows of the release before this one need it: it kept such addresses in security_tokens.
-- A pending address identifies nobody, so a user who has nothing else gets a username.
CREATE FUNCTION "move_lapsed_addresses"("token_ids" text[]) RETURNS void LANGUAGE sql SET search_path FROM CURRENT AS $$
	WITH "lapsed" AS (
		DELETE FROM "security_tokens" "t" USING "users" "u"
		WHERE "u"."id" = "t"."user_id" AND "t"."verified_at" IS NULL AND ("token_ids" IS NULL OR "t"."id" = ANY("token_ids"))
			AND ("t"."pending" OR NOT "t"."given_at_sign_up" OR "u"."first_verified_at" IS NOT NULL
				OR NOT "u"."is_active" OR "u"."is_staff" OR "u"."is_superuser")
		RETURNING "t"."id", "t"."user_id", "t"."kind", "t"."address", "t"."pending", "t"."given_at_sign_up", "t"."created_at"
	), "moved" AS (
		INSERT INTO "pending_addresses" ("user_id", "kind", "token_id", "address", "given_at_sign_up", "created_at")
		SELECT "user_id", "kind", "id", "address", "given_at_sign_up" AND NOT "pending", "created_at" FROM "lapsed"
		-- An address of the sign-up is reserved again later, so it precedes a wish to change it.
		ON CONFLICT ("user_id", "kind") DO UPDATE SET "token_id" = EXCLUDED."token_id", "address" = EXCLUDED."address",
			"given_at_sign_up" = EXCLUDED."given_at_sign_up", "created_at" = EXCLUDED."created_at"
		WHERE EXCLUDED."given_at_sign_up" AND EXISTS (SELECT FROM "users" "o" WHERE "o"."id" = EXCLUDED."user_id"
			AND "o"."first_verified_at" IS NULL AND NOT "o"."is_staff" AND NOT "o"."is_superuser")
	), "codes" AS (
		-- The one-time passwords of a pending address belong to its user too. See `counterId`.
		UPDATE "one_time_passwords" "o" SET "token_id" = "o"."token_id" || ' ' || "lapsed"."user_id" FROM "lapsed"
		WHERE "o"."token_id" = "lapsed"."id" AND "o"."user_id" = "lapsed"."user_id" AND "o"."purpose" = 'VERIFICATION'
			AND NOT EXISTS (SELECT FROM "one_time_passwords" "e"
				WHERE "e"."token_id" = "o"."token_id" || ' ' || "lapsed"."user_id" AND "e"."purpose" = "o"."purpose")
	), "held" AS (
		SELECT "user_id", bool_or("kind" = 'email') AS "email", bool_or("kind" = 'phone') AS "phone"
		FROM "lapsed" WHERE NOT "pending" GROUP BY "user_id"
	), "left" AS (
		SELECT "u"."id",
			CASE WHEN NOT "held"."email" THEN "u"."email" END AS "email",
			CASE WHEN NOT "held"."email" THEN "u"."email_key" END AS "email_key",
			CASE WHEN NOT "held"."phone" THEN "u"."phone" END AS "phone",
			'user-' || substr(md5(gen_random_uuid()::text), 1, 10) AS "name"
		FROM "held" JOIN "users" "u" ON "u"."id" = "held"."user_id"
	)
	UPDATE "users" "u" SET
		"email" = "left"."email",
		"email_key" = "left"."email_key",
		"phone" = "left"."phone",
		"username" = CASE WHEN num_nonnulls("u"."username", "left"."email", "left"."phone") > 0 THEN "u"."username" ELSE "left"."name" END,
		"username_key" = CASE WHEN num_nonnulls("u"."username", "left"."email", "left"."phone") > 0 THEN "u"."username_key" ELSE "left"."name" END
	FROM "left" WHERE "u"."id" = "left"."id";
$$;--> statement-breakpoint
SELECT "move_lapsed_addresses"(NULL);

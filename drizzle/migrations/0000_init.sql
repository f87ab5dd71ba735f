CREATE TYPE "public"."address_kind" AS ENUM('email', 'phone');--> statement-breakpoint
CREATE TYPE "public"."authentication_method" AS ENUM('PASSWORD', 'EMAIL_ONE_TIME_PASSWORD', 'PHONE_ONE_TIME_PASSWORD');--> statement-breakpoint
CREATE TYPE "public"."one_time_password_purpose" AS ENUM('VERIFICATION', 'AUTHENTICATION', 'PASSWORD_RESET');--> statement-breakpoint
CREATE TABLE "keys" (
	"id" text PRIMARY KEY NOT NULL,
	"purpose" text NOT NULL,
	"sealed_key" "bytea" NOT NULL,
	"public_jwk" jsonb,
	"created_at" timestamp (3) with time zone DEFAULT statement_timestamp() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "one_time_passwords" (
	"token_id" text COLLATE "C" NOT NULL,
	"purpose" "one_time_password_purpose" NOT NULL,
	"user_id" uuid,
	"code_digest" "bytea",
	"expires_at" timestamp (3) with time zone,
	"failure_count" integer DEFAULT 0 NOT NULL,
	"retry_at" timestamp (3) with time zone,
	"attempt_id" uuid,
	"updated_at" timestamp (3) with time zone DEFAULT statement_timestamp() NOT NULL,
	CONSTRAINT "one_time_passwords_token_id_purpose_pk" PRIMARY KEY("token_id","purpose"),
	CONSTRAINT "one_time_passwords_count_not_negative" CHECK ("one_time_passwords"."failure_count" >= 0),
	CONSTRAINT "one_time_passwords_digest_expires" CHECK (("one_time_passwords"."code_digest" is null) = ("one_time_passwords"."expires_at" is null))
);
--> statement-breakpoint
CREATE TABLE "outbox_messages" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "outbox_messages_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"sealed_message" "bytea" NOT NULL,
	"sent_at" timestamp (3) with time zone DEFAULT statement_timestamp() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "rate_limit_events" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "rate_limit_events_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"key" "bytea" NOT NULL,
	"occurred_at" timestamp (3) with time zone DEFAULT statement_timestamp() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "security_tokens" (
	"id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"user_id" uuid NOT NULL,
	"kind" "address_kind" NOT NULL,
	"address" text NOT NULL,
	"given_at_sign_up" boolean NOT NULL,
	"pending" boolean DEFAULT false NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT statement_timestamp() NOT NULL,
	"verified_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "sessions" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"user_id" uuid NOT NULL,
	"refresh_token_hash" "bytea" NOT NULL,
	"previous_refresh_token_hash" "bytea",
	"refreshed_at" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT statement_timestamp() NOT NULL,
	"last_used_at" timestamp (3) with time zone DEFAULT statement_timestamp() NOT NULL,
	"idle_expires_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"revoked_at" timestamp (3) with time zone,
	"authenticated_at" timestamp (3) with time zone DEFAULT statement_timestamp() NOT NULL,
	"one_time_password_at" timestamp (3) with time zone,
	"authentication_methods" "authentication_method"[] NOT NULL,
	"user_agent" text,
	"ip_address" "inet"
);
--> statement-breakpoint
CREATE TABLE "sign_in_throttles" (
	"key" "bytea" PRIMARY KEY NOT NULL,
	"failure_count" integer NOT NULL,
	"retry_at" timestamp (3) with time zone,
	"attempt_id" uuid,
	"updated_at" timestamp (3) with time zone DEFAULT statement_timestamp() NOT NULL,
	CONSTRAINT "sign_in_throttles_count_not_negative" CHECK ("sign_in_throttles"."failure_count" >= 0)
);
--> statement-breakpoint
CREATE TABLE "users" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"username" text,
	"username_key" text COLLATE "C",
	"email" text,
	"email_key" text COLLATE "C",
	"phone" text COLLATE "C",
	"password_hash" text,
	"is_active" boolean DEFAULT true NOT NULL,
	"is_staff" boolean DEFAULT false NOT NULL,
	"is_superuser" boolean DEFAULT false NOT NULL,
	"date_joined" timestamp (3) with time zone DEFAULT statement_timestamp() NOT NULL,
	"last_login" timestamp (3) with time zone,
	"first_verified_at" timestamp (3) with time zone,
	"imported_id" text COLLATE "C",
	"imported_digests" "bytea",
	CONSTRAINT "users_identifier_required" CHECK (num_nonnulls("users"."username", "users"."email", "users"."phone") > 0),
	CONSTRAINT "users_no_blank" CHECK ("users"."username" <> '' and "users"."email" <> '' and "users"."phone" <> ''),
	CONSTRAINT "users_username_has_key" CHECK (("users"."username" is null) = ("users"."username_key" is null)),
	CONSTRAINT "users_email_has_key" CHECK (("users"."email" is null) = ("users"."email_key" is null))
);
--> statement-breakpoint
ALTER TABLE "one_time_passwords" ADD CONSTRAINT "one_time_passwords_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE set null ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "security_tokens" ADD CONSTRAINT "security_tokens_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "keys_one_root" ON "keys" USING btree ("purpose") WHERE "keys"."purpose" = 'root';--> statement-breakpoint
CREATE INDEX "one_time_passwords_user" ON "one_time_passwords" USING btree ("user_id");--> statement-breakpoint
CREATE INDEX "outbox_messages_sent_at" ON "outbox_messages" USING btree ("sent_at");--> statement-breakpoint
CREATE INDEX "rate_limit_events_key" ON "rate_limit_events" USING btree ("key","occurred_at");--> statement-breakpoint
CREATE INDEX "rate_limit_events_occurred_at" ON "rate_limit_events" USING btree ("occurred_at");--> statement-breakpoint
CREATE UNIQUE INDEX "security_tokens_user_kind_pending_unique" ON "security_tokens" USING btree ("user_id","kind","pending");--> statement-breakpoint
CREATE INDEX "sessions_user" ON "sessions" USING btree ("user_id","created_at");--> statement-breakpoint
CREATE INDEX "sessions_expires_at" ON "sessions" USING btree ("expires_at");--> statement-breakpoint
CREATE UNIQUE INDEX "users_username_key_unique" ON "users" USING btree ("username_key");--> statement-breakpoint
CREATE UNIQUE INDEX "users_email_key_unique" ON "users" USING btree ("email_key");--> statement-breakpoint
CREATE UNIQUE INDEX "users_phone_unique" ON "users" USING btree ("phone");--> statement-breakpoint
CREATE UNIQUE INDEX "users_imported_id_unique" ON "users" USING btree ("imported_id");--> statement-breakpoint
CREATE INDEX "users_date_joined" ON "users" USING btree ("date_joined","id");--> statement-breakpoint
CREATE INDEX "users_superuser" ON "users" USING btree ("id") WHERE "users"."is_superuser";
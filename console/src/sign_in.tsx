/** Signing in and out: nothing else is shown before the service knows who asks. */

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { refusals, type ServiceError, toServiceError } from "./api.ts";
import { Page, Problem, Skeleton } from "./parts.tsx";
import { useAction } from "./resource.ts";
import {
  isSignedIn,
  providerAddress,
  readSession,
  type Session,
  session,
  signIn,
  signOut,
} from "./session.ts";

/** The pages for whoever is signed in; another person never sees what the former one read. */
export function Gate({ children }: { children: ComponentChildren }) {
  const [error, setError] = useState<ServiceError>();
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    readSession().then(
      () => setError(undefined),
      (reason: unknown) => setError(toServiceError(reason)),
    );
  }, [turn, refusals.value]);
  const known = session.value;
  if (known && isSignedIn(known)) return <Pages key={known.caller?.name}>{children}</Pages>;
  return (
    <Page title="Sign in">
      {error && <Problem error={error} retry={() => setTurn(turn + 1)} />}
      {known && <SignIn known={known} />}
      {!known && !error && <Skeleton lines={3} />}
    </Page>
  );
}

const Pages = ({ children }: { children: ComponentChildren }) => <>{children}</>;

function SignIn({ known }: { known: Session }) {
  const { accepts_keys, login, issuer } = known.sign_in;
  return (
    <div class="sign-in">
      {login && (
        <>
          <a class="button main" href={providerAddress(login)}>
            Sign in at {issuer ? new URL(issuer).host : "the identity provider"}
          </a>
          {accepts_keys && <p class="muted">or with an API key</p>}
        </>
      )}
      {accepts_keys && <KeyForm />}
      {!login && !accepts_keys && (
        <p>
          This service takes tokens of programs alone. For people it needs OIDC_CLIENT_ID; whoever
          runs it can set that.
        </p>
      )}
    </div>
  );
}

function KeyForm() {
  const [key, setKey] = useState("");
  const { isBusy, error, run } = useAction();
  const submit = (event: Event) => {
    event.preventDefault();
    void run(async () => {
      setKey(""); // refused or not, it is not kept
      await signIn(key.trim());
    });
  };
  return (
    <form class="fields" onSubmit={submit}>
      <label>
        API key
        <input
          type="password"
          autocomplete="off"
          value={key}
          onInput={(event) => setKey(event.currentTarget.value)}
        />
      </label>
      <button type="submit" class="main" disabled={isBusy || !key.trim()}>
        Sign in
      </button>
      <p class="muted">
        The key is sent this once and not kept. The session ends when you sign out, with the key, or
        after the hours that the service allows.
      </p>
      {error && <Problem error={error} />}
    </form>
  );
}

/** Who is signed in, and the way out; nothing where the service asks nobody who they are. */
export function Who() {
  const caller = session.value?.authenticates ? session.value.caller : null;
  const [error, setError] = useState("");
  if (!caller) return null;
  const leave = () => {
    setError("");
    signOut().catch((reason: unknown) => setError(toServiceError(reason).message));
  };
  return (
    <div class="who">
      <b title={caller.name}>{caller.display_name}</b>
      <button type="button" onClick={leave}>
        Sign out
      </button>
      {error && <span role="alert">{error}</span>}
    </div>
  );
}

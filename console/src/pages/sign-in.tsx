import { useEffect, useRef, useState } from 'react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { client } from '../client/client.ts';
import { signIn } from '../client/session.ts';
import { Field } from '../ui/field.tsx';
import { Problem } from '../ui/problem.tsx';
import { submitted } from '../ui/submitted.ts';

interface SignInProps {
  /** The code of the link that opened the page; null: there is none. */
  link: string | null;
  /** Why the link did not work. */
  linkProblem: unknown;
  /** Told why it did not work; null: it did. */
  onLinkUsed: (problem: unknown) => void;
}

/** Signs in with a link at once, or with a code by mail; registers with an invite. */
export function SignIn({ link, linkProblem, onLinkUsed }: SignInProps) {
  const cache = useQueryClient();
  const enter = () => cache.invalidateQueries({ queryKey: ['me'] });
  const used = useRef(false);
  useEffect(() => {
    document.title = 'Sign in - Thermidora';
    if (link === null || used.current) return;
    used.current = true;
    signIn({ link }).then(() => onLinkUsed(null), onLinkUsed);
  }, [link, onLinkUsed]);

  const [email, setEmail] = useState<string | null>(null);
  const [isNew, setIsNew] = useState(false);
  return (
    <main className="sign-in">
      <div className="card">
        <div className="brand">
          <span className="brand-mark" aria-hidden="true">
            T
          </span>
          Thermidora
        </div>
        {link !== null && <p role="status">Signing you in</p>}
        {link === null && email !== null && <CodeForm email={email} onDone={enter} onBack={() => setEmail(null)} />}
        {link === null && email === null && !isNew && <EmailForm onSent={setEmail} onNew={() => setIsNew(true)} />}
        {link === null && email === null && isNew && <RegisterForm onSent={setEmail} onKnown={() => setIsNew(false)} />}
        <Problem error={linkProblem} />
      </div>
    </main>
  );
}

function EmailForm({ onSent, onNew }: { onSent: (email: string) => void; onNew: () => void }) {
  const [email, setEmail] = useState('');
  const send = useMutation({ mutationFn: () => client.auth.login({ email }), onSuccess: () => onSent(email) });
  return (
    <form onSubmit={submitted(() => send.mutate())}>
      <h1>Sign in</h1>
      <Field label="Email" hint="You get a code of six digits by email.">
        {(ids) => (
          <input
            {...ids}
            type="email"
            required
            autoComplete="email"
            value={email}
            onChange={(event) => setEmail(event.target.value)}
          />
        )}
      </Field>
      <Problem error={send.error} />
      <button type="submit" className="primary" disabled={send.isPending}>
        Send the code
      </button>
      <button type="button" className="quiet" onClick={onNew}>
        I have an invite code
      </button>
    </form>
  );
}

function CodeForm({ email, onDone, onBack }: { email: string; onDone: () => unknown; onBack: () => void }) {
  const [code, setCode] = useState('');
  const enter = useMutation({ mutationFn: () => signIn({ email, code }), onSuccess: onDone });
  return (
    <form onSubmit={submitted(() => enter.mutate())}>
      <h1>Enter your code</h1>
      <p className="muted">If {email} has an account, a code is on its way. It is valid for ten minutes.</p>
      <Field label="Code">
        {(ids) => (
          <input
            {...ids}
            inputMode="numeric"
            autoComplete="one-time-code"
            pattern="\d{6}"
            maxLength={6}
            required
            value={code}
            onChange={(event) => setCode(event.target.value)}
          />
        )}
      </Field>
      <Problem error={enter.error} />
      <button type="submit" className="primary" disabled={enter.isPending}>
        Sign in
      </button>
      <button type="button" className="quiet" onClick={onBack}>
        Use another email
      </button>
    </form>
  );
}

/** The address is proven by the code that follows, so the token of the registration is not used. */
function RegisterForm({ onSent, onKnown }: { onSent: (email: string) => void; onKnown: () => void }) {
  const [given, setGiven] = useState({ name: '', email: '', inviteCode: '' });
  const register = useMutation({
    async mutationFn() {
      await client.auth.register(given);
      await client.auth.login({ email: given.email });
    },
    onSuccess: () => onSent(given.email),
  });
  const input = (name: keyof typeof given, type: string, autoComplete: string) => (ids: object) => (
    <input
      {...ids}
      type={type}
      autoComplete={autoComplete}
      required
      value={given[name]}
      onChange={(event) => setGiven({ ...given, [name]: event.target.value })}
    />
  );
  return (
    <form onSubmit={submitted(() => register.mutate())}>
      <h1>Create an account</h1>
      <Field label="Name">{input('name', 'text', 'name')}</Field>
      <Field label="Email">{input('email', 'email', 'email')}</Field>
      <Field label="Invite code">{input('inviteCode', 'text', 'off')}</Field>
      <Problem error={register.error} />
      <button type="submit" className="primary" disabled={register.isPending}>
        Create the account
      </button>
      <button type="button" className="quiet" onClick={onKnown}>
        I have an account
      </button>
    </form>
  );
}

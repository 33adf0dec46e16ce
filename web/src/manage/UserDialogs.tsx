// Making an account, changing what it sees or its password, and removing it.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

import { post, remove } from "../api/client";
import { words } from "../i18n/manage";
import { Dialog } from "../ui/Dialog";
import { sentence } from "../ui/Message";
import { notice } from "../ui/notices";
import type { User } from "./types";

interface Ends {
  onClose: () => void;
  onDone: () => void;
}

type Access = Pick<User, "library" | "roots">;

export function AddDialog({ roots, ...ends }: { roots: readonly string[] } & Ends) {
  const say = words.value.people;
  const [username, setName] = useState("");
  const [password, setPassword] = useState("");
  const [access, setAccess] = useState<Access>({ library: "all", roots: [] });
  const save = async (): Promise<string> => {
    await post("/api/v1/users", { username, password, ...access });
    return say.added(username);
  };
  return (
    <Form title={say.add} action={say.add} save={save} {...ends}>
      <label class="field">
        {say.name}
        <input value={username} required maxLength={64} autocomplete="off" onInput={(event) => setName(event.currentTarget.value)} />
      </label>
      <Password label={say.password} hint={say.passwordHint} value={password} isRequired onInput={setPassword} />
      <AccessChoice roots={roots} access={access} onChange={setAccess} />
    </Form>
  );
}

export function ChangeDialog({ user, roots, ...ends }: { user: User; roots: readonly string[] } & Ends) {
  const say = words.value.people;
  const [password, setPassword] = useState("");
  const [access, setAccess] = useState<Access>({ library: user.library, roots: user.roots });
  const path = `/api/v1/users/${user.user_id}`;
  const save = async (): Promise<string> => {
    await post(`${path}/library`, access);
    if (password) await post(`${path}/password`, { password });
    return say.saved;
  };
  return (
    <Form title={user.username} action={say.save} save={save} {...ends}>
      <AccessChoice roots={roots} access={access} onChange={setAccess} />
      <Password label={say.newPassword} hint={say.newPasswordHint} value={password} onInput={setPassword} />
    </Form>
  );
}

export function RemoveDialog({ user, ...ends }: { user: User } & Ends) {
  const say = words.value.people;
  const save = async (): Promise<string> => {
    await remove(`/api/v1/users/${user.user_id}`);
    return say.removed(user.username);
  };
  return (
    <Form title={say.removeTitle(user.username)} action={say.remove} isDanger save={save} {...ends}>
      <p>{say.removeHint}</p>
    </Form>
  );
}

interface FormProps extends Ends {
  title: string;
  action: string;
  isDanger?: boolean;
  /** Does it; the answer is told when it is done. */
  save: () => Promise<string>;
  children: ComponentChildren;
}

function Form({ title, action, isDanger = false, save, onClose, onDone, children }: FormProps) {
  const [problem, setProblem] = useState("");
  const send = (event: Event): void => {
    event.preventDefault();
    save().then(
      (done) => {
        notice(done);
        onClose();
        onDone();
      },
      (error: unknown) => setProblem(sentence(error)),
    );
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={send}>
        {children}
        {problem && (
          <p class="bad" role="alert">
            {problem}
          </p>
        )}
        <p class="actions">
          <button type="button" onClick={onClose}>
            {words.value.people.cancel}
          </button>
          <button type="submit" class={isDanger ? "danger" : "main"}>
            {action}
          </button>
        </p>
      </form>
    </Dialog>
  );
}

interface PasswordProps {
  label: string;
  hint: string;
  value: string;
  isRequired?: boolean;
  onInput: (text: string) => void;
}

function Password({ label, hint, value, isRequired = false, onInput }: PasswordProps) {
  return (
    <label class="field">
      {label}
      <input
        type="password"
        value={value}
        required={isRequired}
        minLength={8}
        autocomplete="new-password"
        onInput={(event) => onInput(event.currentTarget.value)}
      />
      <span class="soft">{hint}</span>
    </label>
  );
}

function AccessChoice({ roots, access, onChange }: { roots: readonly string[]; access: Access; onChange: (access: Access) => void }) {
  const say = words.value.people;
  const texts = { all: say.all, some: say.some, none: say.nothing };
  const choose = (library: User["library"]): void => onChange({ library, roots: library === "some" ? [...roots] : [] });
  const toggle = (name: string, isOn: boolean): void =>
    onChange({ ...access, roots: isOn ? [...access.roots, name] : access.roots.filter((each) => each !== name) });
  return (
    <fieldset class="choices">
      <legend>{say.library}</legend>
      {(["all", "some", "none"] as const).map((library) => (
        <label key={library}>
          <input type="radio" name="library" checked={access.library === library} onChange={() => choose(library)} />
          {texts[library]}
        </label>
      ))}
      {access.library === "some" &&
        roots.map((name) => (
          <label key={name} class="choice-root" dir="auto">
            <input type="checkbox" checked={access.roots.includes(name)} onChange={(event) => toggle(name, event.currentTarget.checked)} />
            {name}
          </label>
        ))}
    </fieldset>
  );
}

/** A question before something that cannot be undone; it names what would happen. */

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { Problem } from "./parts.tsx";
import { useAction } from "./resource.ts";

export interface Question {
  title: string;
  text: string;
  verb: string;
  /** A text that the one who answers may give, or has to. */
  note?: { label: string; isRequired: boolean };
  act: (note: string) => Promise<unknown>;
}

/** One question at a time: what asks it, and its dialog. */
export function useQuestion(onClose?: () => void) {
  const [question, ask] = useState<Question>();
  const close = () => {
    // Not the next question, because a dialog says in a later task that it was closed.
    ask((asked) => (asked === question ? undefined : asked));
    onClose?.();
  };
  const dialog = question && <Confirm key={question} question={question} onClose={close} />;
  return [dialog, ask] as const;
}

export function Confirm({ question, onClose }: { question: Question; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const { isBusy, error, run } = useAction();
  const [note, setNote] = useState("");
  const [isWarned, setWarned] = useState(false);
  useLayoutEffect(() => dialog.current?.showModal(), []);
  // Esc throws a typed note away only when it is pressed again.
  const keepNote = (event: Event) => {
    if (!note.trim() || isWarned) return;
    event.preventDefault();
    setWarned(true);
  };
  const act = () =>
    run(async () => {
      await question.act(note.trim());
      dialog.current?.close();
    });
  return (
    <dialog ref={dialog} onClose={onClose} onCancel={keepNote} aria-labelledby="question">
      <h2 id="question">{question.title}</h2>
      <p>{question.text}</p>
      {question.note && (
        <div class="fields">
          <label>
            {question.note.label}
            <input
              size={40}
              maxLength={500}
              required={question.note.isRequired}
              value={note}
              onInput={(event) => {
                setNote(event.currentTarget.value);
                setWarned(false);
              }}
            />
          </label>
        </div>
      )}
      {isWarned && <p role="status">Esc once more throws away what you typed.</p>}
      {error && <Problem error={error} />}
      <div class="actions">
        {/* The harmless one before the other, so that Enter on the first focus does nothing. */}
        <button type="button" onClick={() => dialog.current?.close()}>
          Keep it as it is
        </button>
        <button
          type="button"
          class="danger"
          disabled={isBusy || (question.note?.isRequired && !note.trim())}
          onClick={() => void act()}
        >
          {question.verb}
        </button>
      </div>
    </dialog>
  );
}

import { useEffect, useEffectEvent, useState } from 'react';
import type { ClipboardEvent, KeyboardEvent } from 'react';
import { bytes } from '../../format.ts';
import { FileButton } from '../../ui/file-button.tsx';
import { Problem } from '../../ui/problem.tsx';
import { submitted } from '../../ui/submitted.ts';
import type { useAttachments } from './use-attachments.ts';

interface ComposerProps {
  isReady: boolean;
  /** It starts, and will take messages. */
  isComing: boolean;
  isBusy: boolean;
  attachments: ReturnType<typeof useAttachments>;
  /** Answers whether the message was taken. */
  onSend: (text: string, files: readonly File[]) => Promise<boolean>;
  onCancel: () => void;
}

/** Where a message is written, with the files that go with it. What was refused is there again. */
export function Composer({ isReady, isComing, isBusy, attachments, onSend, onCancel }: ComposerProps) {
  const [text, setText] = useState('');
  const [waits, setWaits] = useState(false);
  const canSend = (isReady || isComing) && !isBusy && text.trim() !== '';
  const send = async () => {
    if (!canSend) return;
    setWaits(!isReady);
    if (!isReady) return;
    const { files } = attachments;
    setText('');
    attachments.replace([]);
    if (await onSend(text, files)) return;
    setText((typed) => typed || text);
    attachments.replace(files);
  };
  const sendAtLast = useEffectEvent(() => void Promise.resolve().then(send));
  useEffect(() => {
    if (waits && isReady) sendAtLast();
  }, [waits, isReady]);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    void send();
  };
  const onPaste = (event: ClipboardEvent) => {
    if (event.clipboardData.files.length === 0) return;
    event.preventDefault();
    attachments.add([...event.clipboardData.files]);
  };
  return (
    <form className="composer" onSubmit={submitted(() => void send())}>
      <Attached attachments={attachments} />
      <label className="hidden" htmlFor="message">
        Message
      </label>
      <textarea
        id="message"
        rows={2}
        placeholder={isReady || isComing ? 'Write a message. Drop files here to attach them.' : 'The instance is not running'}
        readOnly={waits}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={onKeyDown}
        onPaste={onPaste}
      />
      {waits && (
        <p className="muted small attached" role="status">
          It is sent as soon as the instance runs.
        </p>
      )}
      <span className="composer-buttons">
        <FileButton text="Attach" onFiles={attachments.add} />
        {isBusy || waits ? (
          <button type="button" onClick={waits ? () => setWaits(false) : onCancel}>
            Cancel
          </button>
        ) : (
          <button type="submit" className="primary" disabled={!canSend}>
            Send
          </button>
        )}
      </span>
    </form>
  );
}

function Attached({ attachments: { files, problem, remove } }: Pick<ComposerProps, 'attachments'>) {
  if (files.length === 0 && problem === null) return null;
  return (
    <div className="attached">
      <ul className="chips" aria-label="Attachments">
        {files.map((file, place) => (
          // Two files may have the same name.
          <li key={`${place} ${file.name}`}>
            <button type="button" onClick={() => remove(file)} aria-label={`Remove ${file.name}`}>
              {file.name} <span className="muted small">{bytes(file.size)}</span> ×
            </button>
          </li>
        ))}
      </ul>
      <Problem error={problem === null ? null : new Error(problem)} />
    </div>
  );
}

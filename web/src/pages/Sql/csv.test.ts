import { expect, it } from 'vitest';
import { toCsv } from './csv';

it('keeps text as text', () => {
  const rows = [['a,b', -1.5, null], ['=1+1', true, ['x', 'y']], ['say "hi"\n', 2, '']];
  expect(toCsv(['t', 'n', 'l'], rows)).toBe(
    't,n,l\r\n"a,b",-1.5,\r\n\'=1+1,true,"[""x"",""y""]"\r\n"say ""hi""\n",2,\r\n',
  );
});

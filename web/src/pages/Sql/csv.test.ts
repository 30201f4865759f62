import { expect, it } from 'vitest';
import { toCsv } from './csv';

const line = (cell: unknown) =>
  toCsv(['c'], [[cell]])
    .split('\r\n')
    .slice(1, -1)
    .join('\r\n');

it('keeps text as text', () => {
  const rows = [
    ['a,b', -1.5, null],
    ['a;=1+2', true, ['x', 'y']],
    ['say "hi"\n', 2, ''],
  ];
  expect(toCsv(['t', 'n', 'l'], rows)).toBe(
    '\uFEFF"t","n","l"\r\n"a,b",-1.5,\r\n"a;=1+2",true,"[""x"",""y""]"\r\n"say ""hi""\n",2,""\r\n',
  );
});

it('never makes a formula', () => {
  for (const text of [
    '=1+1',
    '+1',
    '-1',
    '@SUM(1)',
    '＝1',
    '＋1',
    '－1',
    '＠x',
    ' =1',
    '\u200B=1',
    '\n=1',
    '\tx',
    '\rx',
  ]) {
    expect(line(text)).toBe(`"'${text}"`);
  }
  for (const text of ['late again', '1 = 1', ' late', '']) expect(line(text)).toBe(`"${text}"`);
});

{#-
  The columns tell the rows of a mart apart: no two rows have the same values in them, and no row has a null in one.
  Gives each key that breaks this, with its number of rows.
-#}
{% test mart_key_is_unique(model, columns) %}

select
    {{ columns | join(',\n    ') }},
    count(*) as number_of_rows
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1 or {{ columns | join(' is null or ') }} is null

{% endtest %}
